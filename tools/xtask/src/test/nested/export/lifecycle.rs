//! Exports that come and go, providers that go, a domain that ends or dies.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::Nest;
use lab::guest::{Guest, PROMPT, Reason};

use super::attached::{Attached, start};
use crate::test::nested::domain::{number, wait_until};
use crate::test::nested::partition::gpt;

/// How long the domain may take to give everything back.
const SETTLED: Duration = Duration::from_secs(20);
/// How long a client may take to hear that its disk is gone.
const HEARD: Duration = Duration::from_secs(30);

/// What the domain holds for its exports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Holdings {
    granted: u64,
    parked: u64,
    ports: usize,
    tasks: usize,
    nodes: usize,
}

pub(super) fn holdings(guest: &mut Guest<'_>) -> Result<Holdings> {
    let grants = guest.command("grants")?;
    Ok(Holdings {
        granted: number(&grants, "granted:")?,
        parked: number(&grants, "parked:")?,
        ports: guest.command("events")?.lines().count(),
        tasks: guest.command("tasks")?.lines().count(),
        nodes: guest.command("xenstore ls backend")?.lines().count(),
    })
}

/// Attached and detached over and over, idle and in use, plain and forced: nothing is left of it
/// in the domain, in xenstore or in libxl's lists.
pub(in crate::test::nested) fn exports_come_and_go(nest: &Nest, cycles: u32) -> Result<()> {
    let mut guest = start(nest, &[])?;
    cycle(nest, 0)?;
    wait_until(&mut guest, "exports", SETTLED, no_exports)?;
    let before = holdings(&mut guest)?;
    for number in 0..cycles {
        cycle(nest, number)?;
    }
    wait_until(&mut guest, "exports", SETTLED, no_exports)?;
    let after = holdings(&mut guest)?;
    ensure!(before == after, "before: {before:?}\nafter: {after:?}");
    guest.destroy()
}

fn no_exports(said: &str) -> Option<()> {
    said.contains("no exports").then_some(())
}

fn cycle(nest: &Nest, number: u32) -> Result<()> {
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    let reading = if number.is_multiple_of(2) {
        // It ends with the device, whatever it reads until then.
        let line = format!("cat {0} {0} {0} > /dev/null; true", attached.path());
        Some(nest.spawn(&line)?)
    } else {
        None
    };
    attached.detach(number % 4 > 1)?;
    if let Some(reading) = reading {
        reading.wait()?;
    }
    Ok(())
}

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

/// `xl shutdown` while a client reads and writes: every request is answered, the export is closed,
/// the domain ends by itself, and dom0 is as good as before.
pub(in crate::test::nested) fn a_shutdown_closes_first(nest: &Nest) -> Result<()> {
    let mut guest = start(nest, &[])?;
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    let reading = nest.spawn(&format!(
        "while dd if={} of=/dev/null bs=64k iflag=direct status=none; do :; done 2>/dev/null; true",
        attached.path()
    ))?;
    nest.check("sleep 1; xl shutdown storage")?;
    let reason = guest.wait_shutdown(HEARD)?;
    ensure!(reason == Reason::Poweroff, "it ended by {reason:?}");
    reading.wait()?;
    nest.run("xl block-detach 0 xvdf")?;
    dom0_is_well(nest)
}

/// A crash while a client reads and writes: what it asked for is answered with errors, so that
/// nothing in dom0 waits for ever.
pub(in crate::test::nested) fn a_crash_answers_its_clients(nest: &Nest) -> Result<()> {
    let mut guest = start(nest, &[])?;
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    let reading = nest.spawn(&format!(
        "fio --name=load --filename={} --direct=1 --ioengine=libaio --thread --rw=randread \
         --bs=4k --iodepth=32 --time_based --runtime=60 --minimal; true",
        attached.path()
    ))?;
    nest.check("sleep 2")?;
    guest.send("crash\n")?;
    let reason = guest.wait_shutdown(HEARD)?;
    ensure!(reason == Reason::Crash, "it ended by {reason:?}");
    ensure!(
        guest.console()?.contains("a crash was asked for"),
        "no epitaph"
    );
    reading.wait()?;
    nest.run("xl block-detach --force 0 xvdf")?;
    dom0_is_well(nest)
}

/// dom0 can still make a domain with a disk: what hangs in its xenbus shows there.
fn dom0_is_well(nest: &Nest) -> Result<()> {
    nest.run("xl destroy storage")?;
    let disk = lab::Disk::new(nest, "well", 1 << 20, 512)?;
    let mut guest = start(nest, &[disk.xl_quick("xvda", "w")])?;
    guest.command("geom tree")?;
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    attached.sha256()?;
    attached.detach(false)?;
    guest.wait_for(PROMPT, HEARD).ok();
    guest.destroy()?;
    disk.remove(nest)
}
