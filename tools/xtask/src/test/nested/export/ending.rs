//! Providers that go from under an export, and driver domains that end or die in use.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use lab::guest::Reason;
use lab::{Nest, Running};

use super::attached::{Attached, start};
use super::lifecycle::nothing_hangs;
use crate::test::nested::domain::number;
use crate::test::nested::partition::gpt;

/// How long a client may take to hear that its disk is gone.
pub(super) const HEARD: Duration = Duration::from_secs(30);
/// How long fio may take to start, beside other nests.
const STARTED: Duration = Duration::from_secs(90);

/// A disk that an export is of is pulled out from under it: the client hears of it, the export
/// closes, the disk is gone once; when it is back it can be exported again.
pub(in crate::test::nested) fn a_provider_leaves_and_returns(nest: &Nest) -> Result<()> {
    let disk = gpt(nest, "leaves", 512)?;
    let mut guest = start(nest, &[disk.xl_quick("xvda", "w")])?;
    let id = guest.id()?;
    let attached = Attached::new(nest, "xbd0p2", "xvdf", "w")?;
    let expected = attached.sha256()?;
    nest.check(&format!("xl block-detach {id} xvda"))?;
    guest.wait_for("geom: xbd0 gone", HEARD)?;
    // Linux makes a disk that has gone one without a byte, or fails its reads.
    let read = format!(
        "dd if={} bs=4k count=1 iflag=direct 2>/dev/null | wc -c",
        attached.path()
    );
    let said = nest.run_for(&read, HEARD)?;
    ensure!(
        said.stdout.trim() == "0",
        "a disk that is gone was read: {said}"
    );
    attached.detach(false)?;
    nest.check(&format!(
        "xl block-attach {id} '{}'",
        disk.xl_quick("xvda", "w")
    ))?;
    let again = Attached::new(nest, "xbd0p2", "xvdf", "w")?;
    ensure!(again.sha256()? == expected, "the sum after the return");
    again.detach(false)?;
    let disks = guest.command("disk list")?;
    let (created, gone) = (number(&disks, "created:")?, number(&disks, "gone:")?);
    // The memory disk and the second life of the other.
    ensure!((created, gone) == (3, 1), "{disks}");
    guest.destroy()?;
    disk.remove(nest)
}

/// `xl shutdown` while a client reads: every request is answered, the export is closed, the domain
/// ends by itself, and dom0 is as good as before.
pub(in crate::test::nested) fn a_shutdown_closes_first(nest: &Nest) -> Result<()> {
    let mut guest = start(nest, &[])?;
    // Requests that take their time are in flight at any moment.
    guest.command("gnop create -q 100 -x 100 -d 10 md0")?;
    let attached = Attached::new(nest, "md0.nop", "xvdf", "w")?;
    let reading = read_on(nest, &attached, "4k")?;
    nest.check("xl shutdown storage")?;
    let reason = guest.wait_shutdown(HEARD)?;
    ensure!(reason == Reason::Poweroff, "it ended by {reason:?}");
    is_answered(nest, &attached, reading)?;
    dom0_is_well(nest)
}

/// A crash while a client reads: what it asked for is answered with errors, so that nothing in
/// dom0 waits for ever.
pub(in crate::test::nested) fn a_crash_answers_its_clients(nest: &Nest) -> Result<()> {
    let mut guest = start(nest, &[])?;
    guest.command("gnop create -q 100 -x 100 -d 10 md0")?;
    let attached = Attached::new(nest, "md0.nop", "xvdf", "w")?;
    let reading = read_on(nest, &attached, "4k")?;
    // It would leave no moment to answer.
    let refused = guest.command("crash stack")?;
    ensure!(refused.contains("clients are connected"), "{refused}");
    guest.send("crash\r")?;
    let reason = guest.wait_shutdown(HEARD)?;
    ensure!(reason == Reason::Crash, "it ended by {reason:?}");
    let console = guest.console()?;
    ensure!(console.contains("a crash was asked for"), "{console}");
    is_answered(nest, &attached, reading)?;
    dom0_is_well(nest)
}

/// Starts many reads at a time, each of `block` bytes in fio's words, which go on until one fails;
/// waits until some are in flight. They must take their time.
pub(in crate::test::nested) fn read_on(
    nest: &Nest,
    attached: &Attached<'_>,
    block: &str,
) -> Result<Running> {
    let reading = nest.spawn(&format!(
        "fio --name=load --filename={} --direct=1 --ioengine=libaio --thread --rw=randread \
         --bs={block} --iodepth=32 --time_based --runtime=120 --minimal",
        attached.path()
    ))?;
    let said = nest.run_for(
        &format!(
            "until read -r reads writes < {}/inflight && [ $reads -ge 8 ]; do sleep 0.1; done",
            attached.sysfs()
        ),
        STARTED,
    )?;
    if !said.success() {
        let why = nest.run(&format!(
            "grep . {0}/inflight {0}/stat {0}/size; dmesg | tail -n 30",
            attached.sysfs()
        ))?;
        bail!("fio reads too little: {said}\n{why}\n{}", reading.kill()?);
    }
    Ok(reading)
}

/// Every read was answered: none is in flight, and who read can be ended. By itself fio does not
/// end: it takes a disk without a byte for one that has no more for now.
pub(in crate::test::nested) fn is_answered(
    nest: &Nest,
    attached: &Attached<'_>,
    reading: Running,
) -> Result<()> {
    let said = nest.run_for(
        &format!(
            "until read -r reads writes < {}/inflight && [ $reads = 0 ]; do sleep 0.1; done",
            attached.sysfs()
        ),
        HEARD,
    )?;
    if !said.success() {
        let why = nest.run("echo w > /proc/sysrq-trigger; dmesg | tail -60")?;
        bail!("reads wait for ever: {said}\n{why}");
    }
    reading.kill()?;
    Ok(())
}

/// Nothing waits in dom0, the disk can be taken away, and dom0 can make a domain with a disk.
pub(super) fn dom0_is_well(nest: &Nest) -> Result<()> {
    nest.run("xl destroy storage; xl block-detach --force 0 xvdf")?;
    nothing_hangs(nest)?;
    let disk = lab::Disk::new(nest, "well", 1 << 20, 512)?;
    let mut guest = start(nest, &[disk.xl_quick("xvda", "w")])?;
    guest.command("geom tree")?;
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    attached.sha256()?;
    attached.detach(false)?;
    guest.destroy()?;
    disk.remove(nest)
}
