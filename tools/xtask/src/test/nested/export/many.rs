//! As many exports as xenstore lets one domain have.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::Nest;

use super::attached::start_with;
use crate::test::nested::domain::sum;

/// The first disk's number: dom0 has none of its own from there on.
const FIRST: u32 = 20;
/// More than there can be.
const END: u32 = 120;
/// As few as there may be, by the quotas that Xen's daemon has by default.
const LEAST: u32 = 30;
/// What all of them may take to come, or to go.
const LIMIT: Duration = Duration::from_secs(600);

/// Exports of one provider are attached until one is refused: that one says why, the others are
/// read all the same, and all of them go without a trace.
pub(in crate::test::nested) fn until_one_is_refused(nest: &Nest) -> Result<()> {
    let mut guest = start_with(nest, 64, "md=ram:1M", &[])?;
    let filled = guest.command("fill md0 7")?;
    ensure!(filled.contains("read back"), "{filled}");
    let attach = disk("r", "${n}", "md0,ro");
    let said = nest.run_for(
        &format!(
            "for n in $(seq {FIRST} {END}); do \
                 xl block-attach 0 \"{attach}\" 2>/dev/null || {{ echo $n; exit; }}; \
             done"
        ),
        LIMIT,
    )?;
    let refused: u32 = said.stdout.trim().parse().context("a refused one")?;
    println!("   {} exports of one driver domain", refused - FIRST);
    ensure!(refused - FIRST >= LEAST, "only {}", refused - FIRST);
    // xen-vbd-interface(7): disks from the 16th on.
    let id = guest.id()?;
    let number = 1 << 28 | refused << 8;
    let why = nest.check(&format!(
        "xenstore-read /local/domain/{id}/backend/vbd/0/{number}/hotplug-error"
    ))?;
    ensure!(why.contains("too many exports"), "{why:?}");
    let ours = sum(&mut guest, "md0")?;
    let sums = nest.check(&format!(
        "for i in $(seq 100); do [ $(ls /dev/xvd* | wc -l) = {} ] && break; sleep 0.2; done; \
         for d in /dev/xvd*; do dd if=$d bs=1M iflag=direct status=none | sha256sum; done",
        refused - FIRST
    ))?;
    let count = sums.lines().filter(|line| line.starts_with(&ours)).count();
    ensure!(
        count as u32 == refused - FIRST,
        "{count} read right:\n{sums}"
    );
    let said = nest.run_for(
        &format!(
            "for n in $(seq {FIRST} {refused}); do xl block-detach 0 d${{n}}p0 || exit; done; \
             xl block-list 0; xenstore-list /local/domain/{id}/backend/vbd/0 2>/dev/null"
        ),
        LIMIT,
    )?;
    let left = said.stdout.lines().filter(|line| !line.starts_with("Vdev"));
    ensure!(left.count() == 0, "left: {said}");
    guest.destroy()
}

/// A disk in xl's words.
fn disk(access: &str, number: impl std::fmt::Display, target: &str) -> String {
    format!("format=raw,vdev=d{number}p0,access={access},backend=storage,target={target}")
}
