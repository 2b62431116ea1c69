//! A domain's memory follows `xl mem-set`, up and down under load.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::Nest;
use lab::guest::Guest;

use super::domain::{SECOND, number, start_config, sum};
use super::fio::found_what_it_wrote;

/// What the domain starts with, and what it goes between, in MiB.
const START: u64 = 64;
const LOW: u64 = 16;
const HIGH: u64 = 256;
/// How long the domain may take to get or to give what lies between.
const FOLLOWS: Duration = Duration::from_secs(60);
/// How long fio may run.
const LIFE: Duration = Duration::from_secs(3600);
/// What fio writes and reads all the while, in the domain's memory disk.
const LOAD: &str = "echo $$ >/tmp/load.pid; \
                    exec fio --name=load --filename=/dev/xvdf --direct=1 --ioengine=libaio \
                    --thread --rw=randwrite --bsrange=4k-64k --iodepth=8 --verify=crc32c \
                    --verify_fatal=1 --time_based --runtime=36000";

/// `xl mem-set` up and down `times` times while fio's data goes through an export of a memory disk:
/// each time Xen and the domain agree on what it has. The disk is what fio left, and a target of 1
/// MiB stops at the floor.
pub(super) fn up_and_down(nest: &Nest, times: u32) -> Result<()> {
    let config = format!(
        "type = \"pv\"\nkernel = \"/root/xenolith\"\nmemory = {START}\nmaxmem = {HIGH}\n\
         driver_domain = 1\ncmdline = \"md=ram:4M\"\n"
    );
    let mut guest = start_config(nest, "balloon", &config)?;
    nest.check(
        "xl block-attach 0 format=raw,vdev=xvdf,access=rw,backend=balloon,target=ram && \
         for i in {1..50}; do [ \"$(blockdev --getsize64 /dev/xvdf 2>&1)\" != 4194304 ] || break; \
         sleep 0.1; done",
    )?;
    let mut load = nest.start(LOAD, LIFE, false)?;
    for time in 0..times {
        for target in [HIGH, LOW] {
            follow(nest, &mut guest, target).with_context(|| format!("{time} of {times}"))?;
        }
    }
    let refused = "a target of 1024 KiB is refused";
    nest.check("xl mem-set balloon 1m")?;
    guest.wait_for(refused, FOLLOWS)?;
    guest.watch(2 * SECOND)?;
    let (theirs, ours) = (xen_says(nest)? * 1024, has(&mut guest)?);
    ensure!(
        theirs.abs_diff(ours) <= 1024,
        "Xen has {theirs} KiB, the domain {ours}"
    );
    follow(nest, &mut guest, START)?;

    if let Some(ended) = load.wait_for(Duration::ZERO)? {
        bail!("fio ended: {ended}");
    }
    nest.check("kill -INT $(cat /tmp/load.pid); rm /tmp/load.pid")?;
    let said = load.wait()?;
    found_what_it_wrote(&said)?;
    let through = nest.check("dd if=/dev/xvdf bs=1M iflag=direct status=none | sha256sum")?;
    nest.check("xl block-detach 0 xvdf")?;
    let inside = sum(&mut guest, "md0")?;
    ensure!(through.starts_with(&inside), "{through}, inside {inside}");
    guest.destroy()
}

/// Sets the domain's memory to `target` MiB, and waits until it and Xen say so.
fn follow(nest: &Nest, guest: &mut Guest<'_>, target: u64) -> Result<()> {
    nest.check(&format!("xl mem-set balloon {target}m"))?;
    let deadline = Instant::now() + FOLLOWS;
    loop {
        let (theirs, ours) = (xen_says(nest)?, has(guest)?);
        if (theirs, ours) == (target, target * 1024) {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "{target} MiB were set, xl list says {theirs}, the domain {ours} KiB"
        );
        guest.watch(SECOND / 5)?;
    }
    let mem = guest.command("mem")?;
    let (given, got) = (
        number(&mem, "given to Xen:")?,
        number(&mem, "got from it:")?,
    );
    let counted = START * 256 + got - given;
    ensure!(
        counted == target * 256,
        "{counted} pages are counted: {mem}"
    );
    Ok(())
}

/// The domain's memory in MiB, as Xen has it.
fn xen_says(nest: &Nest) -> Result<u64> {
    let said = nest.check("xl list balloon | tail -n 1")?;
    let mem = said.split_whitespace().nth(2).context("xl list")?;
    mem.parse().with_context(|| format!("xl list: {said}"))
}

/// The domain's memory in KiB, as it has it itself.
fn has(guest: &mut Guest<'_>) -> Result<u64> {
    number(&guest.command("mem")?, "memory:")
}
