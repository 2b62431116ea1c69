//! What all other tests stand on: the lab's commands, files, disks and domains do what they say.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use lab::guest::Reason;
use lab::output::Ending;
use lab::{Disk, Guest, Nest, Options, disk};

use super::domain::SECOND;

/// Debian's GRUB as a guest kernel.
const GRUB: &str = "kernel = \"/usr/lib/grub-xen/grub-x86_64-xen.bin\"\nmemory = 64\n";

/// The nest runs the Xen that it should.
pub(super) fn is_xen(nest: &Nest, minor: u32) -> Result<()> {
    let info = nest.check("xl info")?;
    let line = format!("xen_minor              : {minor}\n");
    ensure!(info.contains(&line), "{info}");
    Ok(())
}

/// Commands run beside each other, end as they say, and are killed with all they started.
pub(super) fn commands(nest: &Nest) -> Result<()> {
    let said = nest.run("echo out; echo err >&2; exit 3")?;
    ensure!(
        (said.status(), &*said.stdout, &*said.stderr) == (Some(3), "out\n", "err\n"),
        "{said}"
    );
    ensure!(nest.check("exit 3").is_err(), "a failed check is an error");

    let waiting = nest.start("read word; echo $word", 60 * SECOND, true)?;
    ensure!(nest.check("echo quick")? == "quick\n", "beside another");
    waiting.input().write(b"slow\n")?;
    ensure!(waiting.wait()?.stdout == "slow\n", "what it waited for");

    let limited = nest.run_for("echo before; sleep 12345", SECOND)?;
    ensure!(
        (limited.ending, &*limited.stdout) == (Ending::TimedOut, "before\n"),
        "{limited}"
    );
    let killed = nest.spawn("sleep 12345 & sleep 12345")?.kill()?;
    ensure!(killed.ending == Ending::Killed, "{killed}");
    drop(nest.spawn("exec sleep 12345")?);
    let left =
        "for i in $(seq 100); do pgrep -f 'sleep 1234[5]' || exit 0; sleep 0.1; done; exit 1";
    nest.check(left).context("what was killed has ended")?;
    Ok(())
}

/// Files arrive whole, both ways.
pub(super) fn files(nest: &Nest) -> Result<()> {
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    nest.put("/root/new/directory/file", &bytes)?;
    ensure!(nest.get("/root/new/directory/file")? == bytes, "as it was");
    nest.check("rm -r /root/new")?;
    let missing = nest.get("/root/missing").err().context("it is missing")?;
    let missing = format!("{missing:#}");
    ensure!(missing.contains("No such file"), "{missing}");
    Ok(())
}

/// Disks have the sectors and bytes they should, and hold requests back or fail them when told to.
pub(super) fn disks(nest: &Nest) -> Result<()> {
    for (name, sector) in [("small", 512), ("large", 4096)] {
        let disk = Disk::new(nest, name, 1 << 20, sector)?;
        let path = disk.path();
        let size = nest.check(&format!("blockdev --getss --getsize64 {path}"))?;
        ensure!(size == format!("{sector}\n1048576\n"), "{size}");
        let zeros = disk.sha256(nest, 0, 4096)?;
        let write = format!("echo x | dd of={path} bs=4096 seek=1 conv=notrunc,sync");
        nest.check(&write)?;
        ensure!(disk.sha256(nest, 0, 4096)? == zeros, "not written");
        ensure!(disk.sha256(nest, 4096, 4096)? != zeros, "written");
        ensure!(disk.sha256(nest, 1 << 20, 1).is_err(), "beyond the end");

        disk.suspend(nest)?;
        let read = format!("dd if={path} of=/dev/null bs=4096 count=1 iflag=direct");
        let mut held = nest.spawn(&read)?;
        ensure!(held.wait_for(SECOND)?.is_none(), "the read is held back");
        disk.resume(nest)?;
        ensure!(held.wait()?.success(), "and let go");
        disk.set_failing(nest, true)?;
        ensure!(!nest.run(&read)?.success(), "the read fails");
        disk.set_failing(nest, false)?;
        nest.check(&read)?;
        disk.remove(nest)?;
    }
    disk::ram_disks(nest, 2, 4 << 20)?;
    let size = nest.check("blockdev --getsize64 /dev/ram1; rmmod brd")?;
    ensure!(size == "4194304\n", "{size}");
    Ok(())
}

/// Domains are started, typed at, seen to end, and attached to.
pub(super) fn domains(nest: &Nest) -> Result<()> {
    let mut grub = nest.create_guest("grub", GRUB)?;
    grub.wait_for("grub> ", 30 * SECOND)?;
    grub.send("echo one${root}two\r")?;
    grub.wait_for("onememdisktwo", 10 * SECOND)?;
    grub.wait_for("grub> ", 10 * SECOND)?;
    let absent = grub.wait_for("no such text", SECOND);
    ensure!(absent.is_err(), "{absent:?}");
    let first = grub.id()?;
    grub.send("reboot\r")?;
    let reason = grub.wait_shutdown(20 * SECOND)?;
    ensure!(reason == Reason::Reboot, "{reason:?}");
    grub.reconnect();
    grub.wait_for("grub> ", 30 * SECOND)?;
    ensure!(grub.id()? != first, "another domain");
    grub.send("halt\r")?;
    let reason = grub.wait_shutdown(20 * SECOND)?;
    ensure!(reason == Reason::Poweroff, "{reason:?}");
    grub.wait_gone(20 * SECOND)?;
    drop(grub);

    let again = nest.create_guest("grub", GRUB)?;
    let mut attached = Guest::attach(nest, "grub")?;
    attached.wait_for("grub> ", 30 * SECOND)?;
    again.destroy()?;
    let bad = nest.create_guest("bad", "kernel = \"/nowhere\"\n");
    ensure!(bad.is_err(), "a domain without a kernel");
    Ok(())
}

/// In instruction time the same work takes the same time, whatever else the host does.
pub(super) fn instruction_time(nest: &Nest) -> Result<()> {
    same(work(nest)?, work(nest)?)
}

/// And so it does in another nest.
pub(super) fn instruction_time_in_two_nests(nest: &Nest) -> Result<()> {
    let here = work(nest)?;
    nest.end(); // There may be room for one only.
    let other = Nest::boot(&Options {
        icount: true,
        ..Options::default()
    })?;
    same(here, work(&other)?)
}

/// How long some work takes on dom0's clock, which is slower than the host's then: the median of
/// five times. A dom0 that is just up has some 20 ms of its own work left, which falls into the
/// first of them.
fn work(nest: &Nest) -> Result<Duration> {
    let line = "for k in {1..5}; do \
                t=$(date +%s%N); for ((i = 0; i < 20000; i++)); do :; done; \
                echo $(($(date +%s%N) - t)); done";
    let start = Instant::now();
    let said = nest.check(line)?;
    let host = start.elapsed();
    let times: Result<Vec<_>, _> = said.lines().map(str::parse).collect();
    let mut times: Vec<_> = times?.into_iter().map(Duration::from_nanos).collect();
    let sum: Duration = times.iter().sum();
    ensure!(sum < host / 2, "{sum:?} of instructions in {host:?}");
    times.sort_unstable();
    let [_, _, median, _, _] = times[..] else {
        bail!("not five times: {said}");
    };
    Ok(median)
}

fn same(one: Duration, other: Duration) -> Result<()> {
    ensure!(
        one.abs_diff(other) * 50 < one,
        "within 2 %: {one:?} and {other:?}"
    );
    Ok(())
}
