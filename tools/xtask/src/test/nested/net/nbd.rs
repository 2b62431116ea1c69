//! The NBD server and clients that others wrote.

use anyhow::{Context, Result, ensure};
use lab::Nest;
use lab::guest::Guest;

use super::node::{self, ADDRESS, NBD};
use crate::test::nested::domain::{SECOND, sum, wait_until};
use crate::test::nested::holdings::{self, HISTORY};

/// Disks and exports of the domain: one to write, one not.
const WORDS: &str = "md=rw:16M md=ro:4M nbd=rw:md0 nbd=ro:md1,ro";
/// What is copied.
const FILE: &str = "/tmp/nbd-file";
/// The kernel's client.
const DEVICE: &str = "/dev/nbd0";
/// Pages that one time may need more than another: a queue never has more than its ring has slots.
const CHANCE: u64 = 256;
/// How often they are killed.
const KILLED: u32 = 4;

/// libnbd, fio and Linux's own client find what they wrote, and the domain has it too.
pub(in crate::test::nested) fn clients_find_what_they_wrote(nest: &Nest) -> Result<()> {
    let mut guest = node::start(nest, "net-nbd", WORDS)?;
    let list = nest.check(&format!("nbdinfo --list {NBD}/"))?;
    for word in ["export=\"rw\"", "export=\"ro\"", "newstyle-fixed"] {
        ensure!(list.contains(word), "no {word}:\n{list}");
    }
    for (name, size, read_only) in [("rw", 16 << 20, false), ("ro", 4 << 20, true)] {
        let line = format!("nbdinfo --json {NBD}/{name}");
        let said: serde_json::Value = serde_json::from_str(&nest.check(&line)?)?;
        let export = &said["exports"][0];
        ensure!(export["export-size"] == size, "{export}");
        ensure!(export["is_read_only"] == read_only, "{export}");
        ensure!(export["can_multi_conn"] == true, "{export}");
    }
    copies(nest, &mut guest)?;
    fio(nest)?;
    linux(nest, &mut guest)?;
    let refused = nest.run(&format!("nbdcopy {FILE} {NBD}/ro"))?;
    ensure!(!refused.success(), "a read-only export was written");
    let refused = nest.run(&format!("nbdinfo {NBD}/none"))?;
    ensure!(!refused.success(), "an export that there is not: {refused}");
    nest.check(&format!("rm {FILE}"))?;
    guest.destroy()
}

/// Over one connection and over four, there and back. How many there were nbdcopy says itself: it
/// takes one where there may not be more.
fn copies(nest: &Nest, guest: &mut Guest<'_>) -> Result<()> {
    for connections in [1, 4] {
        let copy = format!(
            "nbdcopy --verbose --connections={connections} --threads={connections} --requests=32"
        );
        let said = nest.check(&format!(
            "set -e; head -c 16M /dev/urandom >{FILE}; {copy} {FILE} {NBD}/rw 2>&1; \
             {copy} {NBD}/rw {FILE}-back 2>&1; busybox cmp {FILE}-back {FILE}; rm {FILE}-back"
        ))?;
        let used = format!("connections={connections} ");
        ensure!(
            said.matches(&used).count() == 2,
            "other than {used}: {said}"
        );
        let theirs = nest.check(&format!("sha256sum <{FILE}"))?;
        ensure!(theirs.starts_with(&sum(guest, "md0")?), "other bytes");
    }
    Ok(())
}

/// Random blocks of every size, written, flushed, trimmed and verified.
fn fio(nest: &Nest) -> Result<()> {
    let line = format!(
        "fio --name=nbd --ioengine=nbd --uri={NBD}/rw --size=16m --bsrange=4k-128k \
         --iodepth=16 --rw=randwrite --fsync=32 --randseed=11 \
         --verify=crc32c --do_verify=1 --verify_fatal=1 --output-format=json"
    );
    let output = nest.run_for(&line, 300 * SECOND)?;
    ensure!(output.success(), "{line}\n{output}");
    let (_, json) = output.stdout.split_once('{').context("no JSON by fio")?;
    let found: serde_json::Value = serde_json::from_str(&format!("{{{json}"))?;
    let job = &found["jobs"][0];
    ensure!(job["error"] == 0, "{job}");
    let read = job["read"]["io_bytes"].as_u64();
    ensure!(
        read.is_some_and(|bytes| bytes >= 15 << 20),
        "verified {read:?}"
    );
    Ok(())
}

/// A file system over two connections of Linux's client, which flushes on one of them; it is whole
/// after a disconnect and a connection anew.
fn linux(nest: &Nest, guest: &mut Guest<'_>) -> Result<()> {
    nest.check("modprobe nbd max_part=0 && mkdir -p /mnt")?;
    let connect = format!("nbd-client -C 2 -N rw {ADDRESS} {DEVICE} >/dev/null");
    let disconnect = format!("nbd-client -d {DEVICE} >/dev/null");
    nest.check(&format!(
        "set -e; {connect}; mkfs.ext4 -q {DEVICE}; mount -o discard {DEVICE} /mnt; \
         head -c 3M /dev/urandom >/mnt/file; sha256sum </mnt/file >/tmp/sum; \
         cp /mnt/file /mnt/gone; sync; rm /mnt/gone; sync; umount /mnt; {disconnect}"
    ))?;
    nest.check(&format!(
        "set -e; {connect}; fsck.ext4 -fn {DEVICE} >/dev/null; mount -o ro {DEVICE} /mnt; \
         sha256sum </mnt/file | busybox cmp - /tmp/sum; umount /mnt; \
         sha256sum <{DEVICE} >/tmp/sum; {disconnect}"
    ))?;
    let theirs = nest.check("cat /tmp/sum && rm /tmp/sum")?;
    ensure!(theirs.starts_with(&sum(guest, "md0")?), "other bytes");
    Ok(())
}

/// Clients that are killed in the middle of requests leave nothing, and keep nobody from his disk.
pub(in crate::test::nested) fn clients_are_killed(nest: &Nest) -> Result<()> {
    let mut guest = node::start(nest, "net-nbd-killed", WORDS)?;
    nest.check(&format!("head -c 16M /dev/urandom >{FILE}"))?;
    // A queue keeps the pages that it needed at once, so it grows for a while; a leak never ends.
    let mut all = Vec::new();
    for time in 0..KILLED {
        killed(nest, time)?;
        all.push(settled(nest, &mut guest)?);
    }
    let ends = all.last_chunk();
    let [before, after] = ends.context("two times at least")?;
    ensure!(after.0.is_same_but_for_pages(&before.0, CHANCE), "{all:#?}");
    ensure!(after.1 <= before.1 + HISTORY, "heap: {all:#?}");
    nest.check(&format!(
        "nbdcopy {FILE} {NBD}/rw && nbdcopy {NBD}/rw - | busybox cmp - {FILE} && rm {FILE}"
    ))?;
    guest.destroy()
}

/// Kills a reader and a writer, each of an export of its own, a second or so after their start.
fn killed(nest: &Nest, time: u32) -> Result<()> {
    let fio = "fio --name=k --ioengine=nbd --size=4m --bs=256k --iodepth=32 --time_based \
                   --runtime=100 --thread";
    let line = format!(
        "{fio} --uri={NBD}/ro --rw=randread >/tmp/reader 2>&1 & a=$!; \
             {fio} --uri={NBD}/rw --rw=randwrite >/tmp/writer 2>&1 & b=$!; \
             for i in {{1..100}}; do \
             [ $(ss -Htn dst {ADDRESS}:10809 | grep -c ESTAB) -lt 2 ] || break; sleep 0.1; done; \
             sleep 1.{time}; ss -Htn dst {ADDRESS}:10809; kill -9 $a $b; wait; \
             cat /tmp/reader /tmp/writer"
    );
    let output = nest.run_for(&line, 120 * SECOND)?;
    let clients = output.stdout.matches("ESTAB").count();
    ensure!(clients >= 2, "{clients} clients were there: {output}");
    one_moved(&output.stdout)
}

/// At least one of them had requests under way: bytes stand in dom0's buffers.
fn one_moved(ss: &str) -> Result<()> {
    let lines = ss.lines().filter(|line| line.starts_with("ESTAB"));
    let queued = |line: &str| -> bool {
        let words = line.split_whitespace().skip(1).take(2);
        words.into_iter().any(|word| word != "0")
    };
    let moved = lines.into_iter().any(queued);
    ensure!(moved, "no request was under way: {ss}");
    Ok(())
}

/// What the domain holds once it has no client any more.
fn settled(nest: &Nest, guest: &mut Guest<'_>) -> Result<(holdings::Holdings, u64)> {
    wait_until(guest, "netstat", 120 * SECOND, |said| {
        let open = |line: &&str| line.contains(":10809") && !line.contains("LISTEN");
        said.lines().find(open).is_none().then_some(())
    })
    .context("clients that are gone")?;
    holdings::of(nest, guest)
}
