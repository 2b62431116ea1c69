//! Exports that come and go with requests in flight, and clients that die.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lab::guest::Guest;
use lab::{Nest, Output};

use super::attached::start;
use crate::test::nested::domain::{config, frames, number, wait_until};

/// How long the domain may take to give everything back: a frontend may take a minute to let go of
/// its rings.
const SETTLED: Duration = Duration::from_secs(70);
/// How many cycles dom0 is given at once, and what they may take.
const BATCH: u32 = 10;
const BATCH_LIMIT: Duration = Duration::from_secs(120);

/// How often a client reads its disk: more often than it gets to before it is destroyed.
const SUMS: usize = 20;

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

/// Waits until nobody uses an export, and no frontend is still to let go of its rings.
/// Returns what is held then, with the frames in use in KiB.
fn settled(guest: &mut Guest<'_>) -> Result<(Holdings, u64)> {
    wait_until(guest, "exports", SETTLED, |said| {
        said.contains("no exports").then_some(())
    })?;
    wait_until(guest, "tasks", SETTLED, |said| {
        (!said.contains("export")).then_some(())
    })?;
    Ok((holdings(guest)?, frames(&guest.command("mem")?)?))
}

/// What dom0 has of devices and domains: nodes in xenstore, disks in xl's list, domains.
fn in_dom0(nest: &Nest) -> Result<String> {
    // xl and xenstored take their time for a domain that is gone.
    nest.check("sleep 1; xenstore-ls | wc -l; xl block-list 0 | wc -l; xl list | wc -l")
}

/// Attached and detached over and over, idle and in use, plain and forced, and by the death of the
/// client's domain: nothing is left of it in the domain, in xenstore or in libxl's lists, and
/// nothing hangs in dom0.
pub(in crate::test::nested) fn exports_come_and_go(nest: &Nest, cycles: u32) -> Result<()> {
    let mut guest = start(nest, &[])?;
    // Requests that take their time are in flight at any moment.
    guest.command("gnop create -q 100 -x 100 -d 10 md0")?;
    let client = format!(
        "name = \"client\"\n{}cmdline = 'run=\"{}\"'\n",
        config(&["format=raw,vdev=xvda,access=r,backend=storage,target=md0.nop".into()]),
        vec!["sum xbd0"; SUMS].join("; ")
    );
    nest.put("/run/lab/client.cfg", client.as_bytes())?;
    nest.put("/run/lab/cycles", CYCLES.as_bytes())?;
    // One of each kind makes what is made once.
    batch(nest, 5, BATCH)?;
    let before = (settled(&mut guest)?, in_dom0(nest)?);
    let mut done = 0;
    while done < cycles {
        let count = BATCH.min(cycles - done);
        batch(nest, done, done + count).with_context(|| format!("cycles from {done}"))?;
        done += count;
    }
    let after = (settled(&mut guest)?, in_dom0(nest)?);
    ensure!(before == after, "before: {before:?}\nafter: {after:?}");
    nothing_hangs(nest)?;
    guest.destroy()
}

fn batch(nest: &Nest, from: u32, to: u32) -> Result<()> {
    let line = format!("bash -ex /run/lab/cycles {from} {to} 2>/run/lab/cycles.log");
    let mut cycles = nest.spawn(&line)?;
    let said = cycles.wait_for(BATCH_LIMIT)?;
    if said.as_ref().is_some_and(Output::success) {
        return Ok(());
    }
    let ending = said.map_or("it hangs".to_owned(), |said| said.to_string());
    let scene = nest.run(
        "tail -n 20 /run/lab/cycles.log; ps -eo stat,wchan,args | grep -v ' \\['; \
         tail -n 5 /var/log/xen/console/guest-*.log; \
         echo w > /proc/sysrq-trigger; dmesg | tail -40",
    )?;
    bail!("{ending}\n{scene}")
}

/// No thread in dom0 waits for something that does not come: its xenbus thread would be the first.
pub(super) fn nothing_hangs(nest: &Nest) -> Result<()> {
    let line = "for n in {1..50}; do ps -eo stat=,comm= | grep '^D' || exit 0; sleep 0.1; done; \
                echo w > /proc/sysrq-trigger; dmesg | tail -60; exit 1";
    let said = nest.run(line)?;
    ensure!(said.success(), "something hangs in dom0: {said}");
    Ok(())
}

/// For bash, with its own words where it has them: a process takes a twentieth of a second here.
/// Cycles from one number to before another: every other one has two readers, every other two are
/// forced, every tenth is a domain's that is destroyed.
const CYCLES: &str = r#"
disk=format=raw,vdev=xvdf,access=w,backend=storage,target=md0.nop
console=/var/log/xen/console/guest-client.log

await() {
    last=$((SECONDS + 30))
    until eval "$1"; do
        [ $SECONDS -lt $last ] || { echo "in vain: $1" >&2; exit 1; }
        sleep 0.05
    done
}
is_there() { read -r size < /sys/block/xvdf/size && [ "$size" -gt 0 ]; } 2>/dev/null
in_flight() { read -r reads writes < /sys/block/xvdf/inflight && [ $((reads + writes)) -gt 0 ]; }
# It ends with the disk.
reader() {
    while is_there; do
        dd if=/dev/xvdf of=/dev/null bs=256k iflag=direct
    done >/dev/null 2>&1
}
by_dom0() {
    xl block-attach 0 "$disk"
    await is_there
    for ((i = 0; i < $1; i++)); do reader & done
    [ "$1" = 0 ] || await in_flight
    xl block-detach $2 0 xvdf
    wait
}
by_client() {
    rm -f $console
    xl create -q /run/lab/client.cfg
    await 'grep -q "xenolith: ready" $console'
    sleep 0.2
    [ "$(grep -c "  xbd0" $console)" -lt 20 ]
    xl destroy client
}

for ((number = $1; number < $2; number++)); do
    read -r uptime idle < /proc/uptime
    echo "$number at $uptime"
    if [ $((number % 10)) = 9 ]; then
        by_client
    elif [ $((number % 4)) -gt 1 ]; then
        by_dom0 $((number % 2 * 2)) --force
    else
        by_dom0 $((number % 2 * 2)) ""
    fi
done
"#;
