//! A disk comes and goes many times, at random moments, half of them with reads in flight. Nothing
//! may be left of it: not a frame, grant, port, watch or task, and not a piece of heap.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::guest::{Guest, PROMPT};
use lab::{Disk, Nest};

use super::domain::{SECOND, config, number, sum, wait_until};
use super::holdings::{self, HISTORY, Holdings};
use super::partition::gpt;

const SEED: u64 = 0x5eed;

/// Cycles before the baseline, one of each kind: they make what is made once.
const WARM_UP: u32 = 4;

/// How often a disk is read while it is detached, so that it is being read when it leaves: once
/// takes a tenth of the time that xl needs.
const SUMS: usize = 20;

/// Plugs a disk in and out `cycles` times.
pub(super) fn come_and_go(nest: &Nest, cycles: u32) -> Result<()> {
    let disk = gpt(nest, "cycles", 512)?;
    let expected = disk.sha256(nest, 0, disk.bytes())?;
    // Lines of the log would be counted as heap: it keeps 512, so here it gets none.
    let config = format!("{}cmdline = \"loglevel=warn\"\n", config(&[]));
    let mut guest = nest.create_guest("cycles", &config)?;
    guest.wait_for(PROMPT, 30 * SECOND)?;

    let mut random = Random(SEED);
    for cycle in 0..WARM_UP {
        cycle_once(nest, &mut guest, &disk, cycle, &mut random)?;
    }
    let (before, heap_before) = settled(nest, &mut guest)?;
    for cycle in 0..cycles {
        cycle_once(nest, &mut guest, &disk, cycle, &mut random)
            .with_context(|| format!("cycle {cycle} of {cycles}, seed {SEED:#x}"))?;
    }
    let (after, heap_after) = settled(nest, &mut guest)?;
    ensure!(
        before == after,
        "held before: {before:?}\nand after: {after:?}"
    );
    ensure!(
        heap_after <= heap_before + HISTORY,
        "heap: {heap_before} KiB before, {heap_after} KiB after"
    );

    let all = guest.console()?.to_owned();
    let interrupted = all.matches("sum: xbd0: E").count();
    let expected_least = (cycles + WARM_UP) as usize / 4;
    ensure!(
        interrupted >= expected_least,
        "{interrupted} reads were in flight, half of {cycles} cycles have some:\n{all}"
    );
    let wrong = all.lines().find(|line| {
        line.trim_end().ends_with("  xbd0") && line.len() > 64 && !line.starts_with(&expected)
    });
    ensure!(wrong.is_none(), "a wrong sum: {wrong:?}, not {expected}");
    attach(nest, &disk)?;
    wait_for_disk(&mut guest)?;
    ensure!(sum(&mut guest, "xbd0")? == expected, "the sum at the end");
    guest.destroy()?;
    disk.remove(nest)
}

/// In, a while, perhaps reads, a while, out: with `--force` every other time.
fn cycle_once(
    nest: &Nest,
    guest: &mut Guest<'_>,
    disk: &Disk,
    cycle: u32,
    random: &mut Random,
) -> Result<()> {
    attach(nest, disk)?;
    let reads = cycle.is_multiple_of(2);
    let force = if cycle / 2 % 2 == 1 { " --force" } else { "" };
    if reads {
        wait_for_disk(guest)?;
        guest.send(&format!("{}\r", ["sum xbd0"; SUMS].join("; ")))?;
    }
    thread::sleep(random.below(Duration::from_millis(250)));
    nest.check(&format!("xl block-detach cycles xvda{force}"))?;
    wait_until(guest, "disk list", 20 * SECOND, |said| {
        said.contains("live: 0").then_some(())
    })?;
    thread::sleep(random.below(Duration::from_millis(250)));
    Ok(())
}

fn attach(nest: &Nest, disk: &Disk) -> Result<()> {
    let disk = disk.xl_quick("xvda", "w");
    nest.check(&format!("xl block-attach cycles '{disk}'"))?;
    Ok(())
}

fn wait_for_disk(guest: &mut Guest<'_>) -> Result<()> {
    wait_until(guest, "disk list", 10 * SECOND, |said| {
        said.contains("xbd0 ").then_some(())
    })
}

/// What the domain holds once all disks have left, and its heap in use, in KiB.
fn settled(nest: &Nest, guest: &mut Guest<'_>) -> Result<(Holdings, u64)> {
    wait_until(guest, "tasks", 90 * SECOND, |said| {
        (!said.contains("late answers") && !said.contains("vbd")).then_some(())
    })
    .context("tasks of disks that left")?;
    let disks = guest.command("disk list")?;
    let gone = number(&disks, "gone:")?;
    ensure!(number(&disks, "created:")? == gone, "{disks}");
    holdings::of(nest, guest)
}

/// The splitmix64 generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        limit.mul_f64((z >> 11) as f64 / (1_u64 << 53) as f64)
    }
}
