//! What cannot be exported, and how the administrator learns why.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lab::Nest;

use super::attached::{Attached, block_attach, number, start_with};

/// What libxl waits for InitWait, and a little more.
const LIBXL: Duration = Duration::from_secs(20);

/// A provider that is not there, one that is in use, and words that mean nothing are refused with
/// the reason in `hotplug-error`; what is refused can be detached, and others go on.
pub(in crate::test::nested) fn refusals_say_why(nest: &Nest) -> Result<()> {
    let guest = start_with(nest, 32, "md=ram:2M", &[])?;
    let good = Attached::new(nest, "md0", "xvdf", "w")?;
    let refused = [
        ("xvdg", "nothing0", "no provider nothing0"),
        ("xvdh", "md0", "held by blkback 0/51792"),
        ("xvdi", "md0,rw", "unknown option"),
    ];
    are_refused(nest, &refused, || good.sha256().map(drop))?;
    good.detach(false)?;
    guest.destroy()
}

/// A provider that comes while it is waited for is served; by the name that is declared for it, and
/// by no other.
pub(in crate::test::nested) fn a_provider_is_waited_for(nest: &Nest) -> Result<()> {
    let disk = lab::Disk::new(nest, "late", 1 << 20, 512)?;
    let guest = start_with(nest, 64, "export=late:xbd0", &[])?;
    let attaching = nest.spawn(&block_attach("late", "xvdf", "w"))?;
    nest.check("sleep 2")?;
    let id = guest.id()?;
    nest.check(&format!(
        "xl block-attach {id} '{}'",
        disk.xl_quick("xvda", "w")
    ))?;
    let said = attaching.wait()?;
    ensure!(said.success(), "{said}");
    let attached = Attached::existing(nest, "xvdf")?;
    let undeclared = [("xvdg", "xbd0", "none of the exports")];
    are_refused(nest, &undeclared, || attached.sha256().map(drop))?;
    attached.detach(false)?;
    guest.destroy()?;
    disk.remove(nest)
}

/// Attaches each target as its vdev: none comes to anything, and `hotplug-error` says why, while
/// others go on. xl gives each 10 s, so it is asked for all at once.
fn are_refused(
    nest: &Nest,
    refused: &[(&str, &str, &str)],
    others_go_on: impl Fn() -> Result<()>,
) -> Result<()> {
    let attach = |(vdev, target, _): &(&str, &str, &str)| {
        let line = block_attach(target, vdev, "w");
        nest.start(&line, LIBXL, false)
    };
    let attaching = refused.iter().map(attach).collect::<Result<Vec<_>>>()?;
    for (vdev, target, why) in refused {
        let error = hotplug_error(nest, vdev)?;
        ensure!(error.contains(why), "{target}: hotplug-error is {error:?}");
    }
    others_go_on()?;
    for (attaching, (vdev, target, _)) in attaching.into_iter().zip(refused) {
        ensure!(!attaching.wait()?.success(), "{target} was attached");
        nest.check(&format!("xl block-detach 0 {vdev}"))?;
    }
    others_go_on()
}

fn hotplug_error(nest: &Nest, vdev: &str) -> Result<String> {
    let id = nest.check("xl domid storage")?;
    let path = format!(
        "/local/domain/{}/backend/vbd/0/{}/hotplug-error",
        id.trim(),
        number(vdev)?
    );
    let deadline = Instant::now() + LIBXL;
    loop {
        let said = nest.run(&format!("xenstore-read {path}"))?;
        if said.success() || Instant::now() > deadline {
            return Ok(said.stdout);
        }
    }
}
