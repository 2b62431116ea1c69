//! Every file of `xl-configs` does what its comment says.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::Nest;
use lab::guest::{Guest, Reason};

use super::domain::{SECOND, set_vcpus, start_config, sum, wait_until};
use super::export::attached::Attached;
use super::export::restart::{self, End};

/// The disk of `disk.cfg`, `memory8.cfg` and `readonly.cfg`, made as `disk.cfg` says, but smaller:
/// sums take long in emulation.
const DISK: &str = "/var/tmp/xenolith-disk.img";

/// How long xl may take to clear away a domain that has ended.
const GONE: Duration = Duration::from_secs(60);

/// A config, and what to see of it.
type Config = (&'static str, fn(&Nest, &str) -> Result<()>);

const CONFIGS: &[Config] = &[
    ("smoke.cfg", smoke),
    ("shell.cfg", shell),
    ("cmdline.cfg", command_line),
    ("vcpus2.cfg", two_vcpus),
    ("disk.cfg", one_disk),
    ("memory8.cfg", little_memory),
    ("readonly.cfg", read_only),
    ("disks.cfg", ten_disks),
    ("empty-disk.cfg", empty_disk),
    ("one-sector.cfg", one_sector),
    ("watchdog.cfg", watchdog),
    ("balloon.cfg", balloon),
    ("saved.cfg", saved),
    ("storage.cfg", storage),
    ("restarted.cfg", restarted),
    ("network.cfg", network),
];

/// All of them.
pub(super) fn every_config_does_what_it_says(nest: &Nest) -> Result<()> {
    look_at(nest, CONFIGS)
}

/// All but the one of ten disks, a fifth of the time of all; xl reads that one.
pub(super) fn configs_do_what_they_say(nest: &Nest) -> Result<()> {
    let told = nest.check("xl create -n /root/xl-configs/disks.cfg")?;
    for number in 0..10 {
        has(&told, &[&format!("xenolith-disk{number}.img")])?;
    }
    let (tens, rest): (Vec<Config>, Vec<Config>) =
        CONFIGS.iter().partition(|(file, _)| *file == "disks.cfg");
    ensure!(tens.len() == 1, "disks.cfg is another test's");
    look_at(nest, &rest)
}

fn look_at(nest: &Nest, configs: &[Config]) -> Result<()> {
    nest.check(&format!(
        "dd if=/dev/urandom of={DISK} bs=1M count=8 status=none && \
         sgdisk --clear -n 1:2048:+2M -n 2:0:0 {DISK}"
    ))?;
    for (file, check) in configs {
        let text = nest.get(&format!("/root/xl-configs/{file}"))?;
        let text = String::from_utf8(text)?;
        // Xen's script for block devices takes many seconds here, so the lab's stands in for all
        // disks but that of one.
        let quick = match *file {
            "disk.cfg" => text,
            _ => text.replace("format=raw,", "format=raw,script=/run/lab/block,"),
        };
        check(nest, &quick).context(*file)?;
    }
    nest.check("rm /var/tmp/xenolith-*.img")?;
    Ok(())
}

/// Runs a config that ends in `poweroff`; returns all of its console.
fn run(nest: &Nest, name: &str, config: &str) -> Result<String> {
    let mut guest = nest.create_guest(name, config)?;
    let reason = guest.wait_shutdown(40 * SECOND)?;
    ensure!(reason == Reason::Poweroff, "it ended by {reason:?}");
    guest.wait_gone(GONE)?;
    Ok(guest.console()?.to_owned())
}

fn has(console: &str, texts: &[&str]) -> Result<()> {
    for text in texts {
        ensure!(console.contains(text), "no {text:?} in:\n{console}");
    }
    Ok(())
}

fn smoke(nest: &Nest, config: &str) -> Result<()> {
    let console = run(nest, "smoke", config)?;
    has(
        &console,
        &["\nup ", "\nmemory: 16384 KiB", "  xenstore", "\ngranted: 0"],
    )
}

/// What its comment says: up, and down.
fn balloon(nest: &Nest, config: &str) -> Result<()> {
    let mut guest = start_config(nest, "balloon", config)?;
    for target in [256, 16] {
        nest.check(&format!("xl mem-set balloon {target}m"))?;
        let all = format!("memory: {} KiB", target * 1024);
        wait_until(&mut guest, "mem", 40 * SECOND, |said| {
            said.contains(&all).then_some(())
        })?;
    }
    has(
        &guest.command("mem")?,
        &["target: 16384 KiB, static-max: 262144 KiB"],
    )
}

/// What its comment says: saved and restored, and the disk is the same.
fn saved(nest: &Nest, config: &str) -> Result<()> {
    let (image, state) = ("/var/tmp/xenolith-saved.img", "/var/tmp/xenolith-saved");
    nest.check(&format!("head -c 64M /dev/urandom >{image}"))?;
    let mut guest = start_config(nest, "saved", config)?;
    let before = sum(&mut guest, "xbd0")?;
    for (line, said) in [
        ("xl save -c", "the domain goes on"),
        ("xl save", "the domain lives anew"),
    ] {
        let rest = if line == "xl save" {
            "xl restore"
        } else {
            "rm"
        };
        let saved = format!("{line} saved {state} && {rest} {state}");
        let saved = nest.run_for(&saved, 120 * SECOND)?;
        ensure!(saved.success(), "{saved}");
        guest.wait_for(said, 40 * SECOND)?;
        guest.reconnect();
        let after = sum(&mut guest, "xbd0")?;
        ensure!(after == before, "{before} was {after} after {line}");
    }
    nest.check(&format!("rm {image} {state}"))?;
    guest.destroy()
}

/// What its comment says, with the name that it has here.
fn restarted(nest: &Nest, config: &str) -> Result<()> {
    let image = "/var/tmp/xenolith-restarted.img";
    nest.check(&format!(
        "cp /root/xenolith /var/tmp/xenolith && truncate -s 1M {image}"
    ))?;
    let mut guest = start_config(nest, "storage", config)?;
    Attached::new(nest, "xbd0", "xvdf", "w")?;
    nest.put(restart::TOOL, &lab::program("reattach")?)?;
    for end in [End::Orderly, End::Crash] {
        let attached = Attached::existing(nest, "xvdf")?;
        nest.check(&format!(
            "dd if=/dev/urandom of={} bs=1M count=1 oflag=direct conv=fsync status=none",
            attached.path()
        ))?;
        let before = attached.sha256()?;
        restart::restart(nest, &mut guest, end)?;
        let after = Attached::existing(nest, "xvdf")?.sha256()?;
        ensure!(after == before, "{before} is {after} after {end:?}");
    }
    Attached::existing(nest, "xvdf")?.detach(false)?;
    nest.check(&format!("rm {image} /var/tmp/xenolith {}", restart::TOOL))?;
    guest.destroy()
}

/// What its comment says: dom0 attaches the memory disk by its name, and an orderly end.
fn storage(nest: &Nest, config: &str) -> Result<()> {
    let mut guest = start_config(nest, "storage", config)?;
    has(&guest.command("geom tree")?, &["md0  MD  128.0 MiB"])?;
    nest.check(
        "xl block-attach 0 'format=raw,vdev=xvdx,access=rw,backend=storage,target=ram' && \
         for i in {1..50}; do \
         [ \"$(blockdev --getsize64 /dev/xvdx 2>&1)\" != 134217728 ] || break; sleep 0.1; done && \
         dd if=/dev/xvdx of=/dev/null bs=1M count=2 iflag=direct && xl block-detach 0 xvdx && \
         xl shutdown storage",
    )?;
    let reason = guest.wait_shutdown(40 * SECOND)?;
    ensure!(reason == Reason::Poweroff, "it ended by {reason:?}");
    guest.wait_gone(GONE)
}

/// What its comment says: the page, and a partitioned image over NBD.
fn network(nest: &Nest, config: &str) -> Result<()> {
    nest.network()?;
    let mut guest = start_config(nest, "network", config)?;
    let image = "/var/tmp/xenolith-network.img";
    nest.check(&format!(
        "set -e; for i in {{1..20}}; do ping -q -c 1 -W 1 10.0.0.2 >/dev/null && break; done; \
         curl -sf --max-time 30 http://10.0.0.2/ >/dev/null; \
         truncate -s 32M {image}; sgdisk -n 1:2048:+4M -n 2:0:0 {image} >/dev/null; \
         nbdcopy --allocated {image} nbd://10.0.0.2/first"
    ))?;
    wait_until(&mut guest, "geom tree", 20 * SECOND, |said| {
        said.contains("md0p2").then_some(())
    })?;
    nest.check("curl -sf --max-time 30 http://10.0.0.2/metrics >/dev/null")?;
    let graph = nest.check("curl -sf --max-time 30 http://10.0.0.2/geom.json")?;
    has(&graph, &["md0p2"])
}

fn shell(nest: &Nest, config: &str) -> Result<()> {
    let mut guest = start_config(nest, "shell", config)?;
    has(
        &guest.command("disk list")?,
        &["created: 0, gone: 0, live: 0"],
    )?;
    ensure!(guest.command("geom tree")?.is_empty(), "no disk");
    nest.check(&format!(
        "xl block-attach shell format=raw,script=/run/lab/block,vdev=xvda,target={DISK}"
    ))?;
    guest.wait_for("xbd0", 10 * SECOND)?;
    same_sum(nest, &mut guest, "xbd0", DISK)
}

/// The warnings name each word. The open quote's `poweroff` ends the domain.
fn command_line(nest: &Nest, config: &str) -> Result<()> {
    let console = run(nest, "cmdline", config)?;
    let warnings = [
        "command line: warning: unknown: ro quiet =x",
        "command line: warning: loglevel=loud: takes ",
        "command line: warning: watchdog=never: takes ",
        "command line: warning: watchdog=0: takes ",
        "command line: warning: watchdog= is given more than once",
        "command line: warning: a \\\" is not closed",
    ];
    has(&console.replace("a \" is", "a \\\" is"), &warnings)?;
    ensure!(
        !console.contains("watchdog: Xen ends"),
        "no watchdog:\n{console}"
    );
    Ok(())
}

/// The second one comes and goes as dom0 wants it.
fn two_vcpus(nest: &Nest, config: &str) -> Result<()> {
    nest.check(
        "for n in first second; do head -c 1M /dev/urandom >/var/tmp/xenolith-$n.img; done",
    )?;
    let mut guest = start_config(nest, "vcpus", config)?;
    for count in [2, 1, 2] {
        set_vcpus(nest, "vcpus", count)?;
        same_sum(nest, &mut guest, "xbd0", "/var/tmp/xenolith-first.img")?;
        same_sum(nest, &mut guest, "xbd1", "/var/tmp/xenolith-second.img")?;
    }
    let said = guest.command("dmesg")?;
    has(&said, &["vcpu: 1 runs", "vcpu: 1 is down"])?;
    guest.destroy()
}

fn one_disk(nest: &Nest, config: &str) -> Result<()> {
    let mut guest = start_config(nest, "disk", config)?;
    let tree = guest.command("geom tree")?;
    has(
        &tree,
        &[
            "xbd0  DISK  8.0 MiB, sectors of 512",
            "xbd0p1  2.0 MiB at 1048576",
            "xbd0p2  ",
        ],
    )?;
    same_sum(nest, &mut guest, "xbd0", DISK)
}

/// 8 MiB serve a disk.
fn little_memory(nest: &Nest, config: &str) -> Result<()> {
    let theirs = file_sum(nest, DISK)?;
    let console = run(nest, "memory8", config)?;
    has(
        &console,
        &["\nmemory: 8192 KiB", "xbd0p2", &format!("{theirs}  xbd0")],
    )
}

fn read_only(nest: &Nest, config: &str) -> Result<()> {
    let before = file_sum(nest, DISK)?;
    let console = run(nest, "read-only", config)?;
    has(&console, &["xbd0p1", "EROFS"])?;
    let after = file_sum(nest, DISK)?;
    ensure!(after == before, "it was written:\n{console}");
    Ok(())
}

/// Ten disks at once, of every kind of name, each with its own bytes.
fn ten_disks(nest: &Nest, config: &str) -> Result<()> {
    nest.check(
        "for n in 0 1 2 3 4 5 6 7 8 9; do f=/var/tmp/xenolith-disk$n.img; \
         truncate -s $((n + 1))00K $f; echo disk $n | dd of=$f conv=notrunc status=none; done",
    )?;
    let mut guest = start_config(nest, "disks", config)?;
    has(
        &guest.command("disk list")?,
        &["created: 10, gone: 0, live: 10"],
    )?;
    // xvdX by their letters; sda, sdb, hda and hdb, in any order, the lowest that are free.
    for (number, unit) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 16), (5, 25)] {
        let file = format!("/var/tmp/xenolith-disk{number}.img");
        same_sum(nest, &mut guest, &format!("xbd{unit}"), &file)?;
    }
    let mut theirs = Vec::new();
    let mut ours = Vec::new();
    for (number, unit) in [(6, 4), (7, 5), (8, 6), (9, 7)] {
        let file = format!("/var/tmp/xenolith-disk{number}.img");
        theirs.push(file_sum(nest, &file)?);
        ours.push(sum(&mut guest, &format!("xbd{unit}"))?);
    }
    theirs.sort();
    ours.sort();
    ensure!(ours == theirs, "{ours:?}, dom0 says {theirs:?}");
    Ok(())
}

fn empty_disk(nest: &Nest, config: &str) -> Result<()> {
    nest.check("truncate -s 0 /var/tmp/xenolith-empty.img")?;
    let console = run(nest, "empty", config)?;
    has(&console, &["created: 0, gone: 0, live: 0"])?;
    let message = "xbd0: no medium: the backend has 0 sectors";
    ensure!(console.matches(message).count() == 1, "{console}");
    Ok(())
}

fn one_sector(nest: &Nest, config: &str) -> Result<()> {
    let file = "/var/tmp/xenolith-sector.img";
    nest.check(&format!(
        "dd if=/dev/urandom of={file} bs=512 count=1 status=none"
    ))?;
    let theirs = file_sum(nest, file)?;
    let console = run(nest, "one-sector", config)?;
    has(&console, &["\n00000000", &format!("{theirs}  xbd0")])
}

/// It feeds the watchdog, so it lives, as long as it runs. Xen's timer goes on while the domain is
/// paused: a pause longer than the limit ends it.
fn watchdog(nest: &Nest, config: &str) -> Result<()> {
    let short = config.replace("watchdog=10", "watchdog=4");
    ensure!(short != config, "the config says watchdog=10");
    let mut guest = start_config(nest, "watchdog", &short)?;
    guest.watch(6 * SECOND)?;
    ensure!(guest.command("uptime")?.starts_with("up "), "it lives");
    nest.check("xl pause watchdog; sleep 0.5; xl unpause watchdog")?;
    ensure!(
        guest.command("uptime")?.starts_with("up "),
        "after a short pause"
    );
    nest.check("xl pause watchdog")?;
    let reason = guest.wait_shutdown(20 * SECOND)?;
    ensure!(reason == Reason::Watchdog, "it ended by {reason:?}");
    guest.wait_gone(GONE)
}

/// Holds the domain's sum of a disk against dom0's of its file.
fn same_sum(nest: &Nest, guest: &mut Guest<'_>, provider: &str, file: &str) -> Result<()> {
    let theirs = file_sum(nest, file)?;
    let ours = sum(guest, provider)?;
    ensure!(ours == theirs, "{provider}: {ours}, dom0 says {theirs}");
    Ok(())
}

fn file_sum(nest: &Nest, file: &str) -> Result<String> {
    let said = nest.check(&format!("sha256sum {file}"))?;
    let sum = said.split_whitespace().next();
    sum.map(str::to_owned).context("sha256sum said nothing")
}

#[cfg(test)]
mod tests {
    use super::CONFIGS;
    use crate::project;

    #[test]
    fn every_config_is_looked_at() {
        let files = std::fs::read_dir(project::root().join("xl-configs")).unwrap();
        let mut files: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut known: Vec<&str> = CONFIGS.iter().map(|(file, _)| *file).collect();
        // It needs a nest with such a controller.
        known.push(crate::test::nested::passthrough::CONFIG);
        files.sort();
        known.sort_unstable();
        assert_eq!(files, known);
    }
}
