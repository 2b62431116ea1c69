//! What cannot be exported, and how the administrator learns why.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lab::Nest;

use super::attached::{Attached, block_attach, number, start, start_with};

/// What libxl waits for InitWait, and a little more.
const LIBXL: Duration = Duration::from_secs(20);

/// A provider that is not there, one that is in use, and words that mean nothing are refused with
/// the reason in `hotplug-error`; what is refused can be detached, and others go on.
pub(in crate::test::nested) fn refusals_say_why(nest: &Nest) -> Result<()> {
    let guest = start(nest, &[])?;
    let good = Attached::new(nest, "md0", "xvdf", "w")?;
    for (target, why) in [
        ("nothing0", "no provider nothing0"),
        ("md0", "held by blkback 0/51792"),
        ("md0,rw", "unknown option"),
    ] {
        let said = nest.run_for(&block_attach(target, "xvdg", "w"), LIBXL)?;
        ensure!(!said.success(), "{target} was attached");
        let error = hotplug_error(nest, "xvdg")?;
        ensure!(error.contains(why), "{target}: hotplug-error is {error:?}");
        nest.check("xl block-detach 0 xvdg")?;
        good.sha256()?;
    }
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
    attached.sha256()?;
    attached.detach(false)?;
    let said = nest.run_for(&block_attach("xbd0", "xvdf", "w"), LIBXL)?;
    ensure!(!said.success(), "xbd0 was attached");
    let error = hotplug_error(nest, "xvdf")?;
    ensure!(error.contains("none of the exports"), "{error:?}");
    nest.check("xl block-detach 0 xvdf")?;
    guest.destroy()?;
    disk.remove(nest)
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
