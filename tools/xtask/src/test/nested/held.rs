//! A disk leaves while its reads are held back: dom0 suspends the device below it, so that its
//! taste hangs, and detaches it.

use anyhow::{Context, Result, ensure};
use lab::guest::Guest;
use lab::{Disk, Nest};
use std::time::Duration;

use super::domain::{SECOND, number, same_sum, start, wait_until};
use super::partition::gpt;

/// libxl gives up its wait for dom0's backend, which keeps the reads that are held, after 10 s; the
/// rest is `xl` itself. That the frontend is done much sooner is seen from its side before.
const DETACH: Duration = Duration::from_secs(12);

/// The scenario, with and without `--force`.
pub(super) fn detached_with_reads_held(nest: &Nest) -> Result<()> {
    let held = gpt(nest, "held", 512)?;
    let other = gpt(nest, "other", 512)?;
    let mut guest = start(nest, "held", &[])?;
    for (round, force) in [(1, ""), (2, " --force")] {
        leave(nest, &mut guest, &held, force, &other, round)
            .with_context(|| format!("block-detach{force}"))?;
        come_back(nest, &mut guest, &held)
            .with_context(|| format!("attached again after block-detach{force}"))?;
        detach(nest, "xvda")?;
        detach(nest, "xvdb")?;
        wait_until(&mut guest, "disk list", 10 * SECOND, |said| {
            said.contains("live: 0").then_some(())
        })?;
        let all = guest.console()?.to_owned();
        ensure!(
            gone(&all, "xbd0") == 2 * round,
            "created {}:\n{all}",
            2 * round
        );
        ensure!(gone(&all, "xbd1") == round, "created {round}:\n{all}");
    }
    guest.destroy()?;
    held.remove(nest)?;
    other.remove(nest)
}

/// The disk leaves with its reads held. Before they are let go, everything else goes on, and it is
/// gone for good.
fn leave(
    nest: &Nest,
    guest: &mut Guest<'_>,
    held: &Disk,
    force: &str,
    other: &Disk,
    round: usize,
) -> Result<()> {
    held.suspend(nest)?;
    attach(nest, &held.xl_quick("xvda", "w"))?;
    wait_until(guest, "disk list", 10 * SECOND, |said| {
        let line = said.lines().find(|line| line.starts_with("xbd0"))?;
        let in_flight: u32 = line.split_whitespace().nth(5)?.parse().ok()?;
        (in_flight > 0).then_some(())
    })
    .context("its taste reads are in flight")?;

    let line = format!(
        "t=$(date +%s%N); xl block-detach held xvda{force}; echo rc $?; \
         echo ms $((($(date +%s%N) - t) / 1000000))"
    );
    let detaching = nest.start(&line, 60 * SECOND, false)?;
    let said = guest.command_for("uptime", 5 * SECOND)?;
    ensure!(said.starts_with("up "), "the shell answers: {said}");
    attach(nest, &other.xl_quick("xvdb", "w"))?;
    wait_until(guest, "geom tree", 20 * SECOND, |tree| {
        tree.contains("xbd1p2").then_some(())
    })
    .context("the other disk is tasted")?;
    same_sum(nest, guest, "xbd1", other, (0, other.bytes()))?;
    let detached = detaching.wait()?;
    ensure!(number(&detached.stdout, "rc")? == 0, "{detached}");
    let time = Duration::from_millis(number(&detached.stdout, "ms")?);
    ensure!(time < DETACH, "detached after {time:?}");

    let said = wait_until(guest, "disk list", 10 * SECOND, |said| {
        (!said.contains("xbd0 ")).then(|| said.to_owned())
    })?;
    let [created, gone_count, live] = counters(&said)?;
    ensure!(created == gone_count + live && live == 1, "{said}");
    let all = guest.console()?.to_owned();
    ensure!(
        gone(&all, "xbd0") == 2 * round - 1,
        "gone, with reads held:\n{all}"
    );
    let parked = number(&guest.command("grants")?, "parked:")?;
    ensure!(parked > 0, "nothing is parked: no read was held?");
    Ok(())
}

/// The reads are let go; pages come back, and the disk under the same name.
fn come_back(nest: &Nest, guest: &mut Guest<'_>, held: &Disk) -> Result<()> {
    held.resume(nest)?;
    wait_until(guest, "grants", 20 * SECOND, |said| {
        (number(said, "parked:").ok()? == 0).then_some(())
    })
    .context("pages come back")?;
    attach(nest, &held.xl_quick("xvda", "w"))?;
    wait_until(guest, "geom tree", 20 * SECOND, |tree| {
        tree.contains("xbd0p2").then_some(())
    })?;
    same_sum(nest, guest, "xbd0", held, (0, held.bytes()))
}

fn attach(nest: &Nest, disk: &str) -> Result<()> {
    nest.check(&format!("xl block-attach held '{disk}'"))?;
    Ok(())
}

fn detach(nest: &Nest, vdev: &str) -> Result<()> {
    nest.check(&format!("xl block-detach held {vdev}"))?;
    Ok(())
}

/// `disk list`'s created, gone and live.
fn counters(said: &str) -> Result<[u64; 3]> {
    Ok([
        number(said, "created:")?,
        number(said, "gone:")?,
        number(said, "live:")?,
    ])
}

/// How often the driver's gone callback spoke of `name`.
fn gone(console: &str, name: &str) -> usize {
    console.matches(&format!("geom: {name} gone")).count()
}
