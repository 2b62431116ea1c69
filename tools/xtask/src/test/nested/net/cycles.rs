//! An interface comes and goes many times, under traffic. Nothing may be left of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::guest::Guest;
use lab::{Nest, Running};

use super::node::{self, ADDRESS, NBD};
use crate::test::nested::domain::{SECOND, wait_until};
use crate::test::nested::holdings::{self, HISTORY, Holdings};

const NAME: &str = "net-cycles";
/// What is written meanwhile.
const ZEROS: &str = "/tmp/zeros";
/// Pages that one time may need more than another: less than one a cycle.
const CHANCE: u64 = 16;
/// What lists may add to the heap, in KiB, once: those of tasks, of who is ready and of who sleeps
/// double when more requests are under way at once than ever before, which is chance too. (Seen: a
/// step of 18 KiB in one of twenty cycles, with 330 KiB before and after all others.)
const LISTS: u64 = 24;
/// Cycles before the baseline. They make what is made once; and connections that were cut linger
/// for a minute, so it takes some cycles until as many of them are there at once as ever will be,
/// and lists have grown to hold them.
const WARM_UP: u32 = 8;

/// Plugs the interface out and in `cycles` times.
pub(in crate::test::nested) fn come_and_go(nest: &Nest, cycles: u32) -> Result<()> {
    // Lines of the log would be counted as heap: it keeps 512, so here it gets none.
    let words = "md=rw:8M md=ro:8M nbd=rw:md0 nbd=ro:md1,ro loglevel=error";
    let mut guest = node::start(nest, NAME, words)?;
    nest.check(&format!("truncate -s 8M {ZEROS}"))?;
    for cycle in 0..WARM_UP {
        once(nest, &mut guest, cycle)?;
    }
    let before = settled(nest, &mut guest)?;
    for cycle in 0..cycles {
        once(nest, &mut guest, cycle).with_context(|| format!("cycle {cycle} of {cycles}"))?;
    }
    let after = settled(nest, &mut guest)?;
    ensure!(
        after.0.is_same_but_for_pages(&before.0, CHANCE),
        "before: {before:?}\nafter: {after:?}"
    );
    ensure!(
        after.1 <= before.1 + HISTORY + LISTS,
        "heap: {} KiB before, {} after",
        before.1,
        after.1
    );
    node::ping(nest, &format!("-i 0.01 {ADDRESS}"), 20)?;
    nest.check(&format!(
        "nbdcopy {NBD}/rw - | busybox cmp - {ZEROS} && rm {ZEROS}"
    ))?;
    let dom0 = "ls /sys/class/net | grep -c ^vif; xenstore-list /local/domain/0/backend/vif";
    let left = nest.check(dom0)?;
    let id = guest.id()?.to_string();
    ensure!(left.lines().eq(["1", &id]), "dom0 has: {left}");
    guest.destroy()
}

/// Out and in again, with traffic meanwhile.
fn once(nest: &Nest, guest: &mut Guest<'_>, cycle: u32) -> Result<()> {
    let traffic = [
        format!("exec ping -n -q -i 0.005 {ADDRESS}"),
        format!("while :; do timeout 20 nbdcopy --requests=32 {NBD}/ro null:; done"),
        format!("while :; do timeout 20 nbdcopy --requests=32 --allocated {ZEROS} {NBD}/rw; done"),
    ];
    let traffic = traffic
        .iter()
        .map(|line| nest.spawn(line))
        .collect::<Result<Vec<Running>>>()?;
    // Connected, and at a different moment of the copies each time.
    wait_until(guest, "netstat", 20 * SECOND, |said| {
        said.contains("ESTABLISHED").then_some(())
    })?;
    guest.watch(Duration::from_millis(u64::from(cycle * 37 % 400)))?;
    plug_out(nest, guest)?;
    for running in traffic {
        running.kill()?;
    }
    plug_in(nest, guest)
}

fn plug_out(nest: &Nest, guest: &mut Guest<'_>) -> Result<()> {
    nest.check(&format!("xl network-detach {NAME} 0"))?;
    wait_until(guest, "ifconfig", 20 * SECOND, |said| {
        (!said.contains("xn0")).then_some(())
    })
}

fn plug_in(nest: &Nest, guest: &mut Guest<'_>) -> Result<()> {
    nest.check(&format!(
        "xl network-attach {NAME} {}",
        node::vif("").replace(',', " ")
    ))?;
    node::wait_for_address(guest, ADDRESS)?;
    node::answers(nest, ADDRESS)
}

/// What the domain holds once the connections that were cut are given up, and its heap in use. The
/// interface is new: one that answered what a connection had left over has more pages for packets.
fn settled(nest: &Nest, guest: &mut Guest<'_>) -> Result<(Holdings, u64)> {
    wait_until(guest, "netstat", 180 * SECOND, |said| {
        let open = |line: &&str| line.contains(":10809") && !line.contains("LISTEN");
        said.lines().find(open).is_none().then_some(())
    })
    .context("connections that were cut")?;
    plug_out(nest, guest)?;
    plug_in(nest, guest)?;
    holdings::of(nest, guest)
}
