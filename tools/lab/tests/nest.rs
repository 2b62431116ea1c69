//! The lab itself, in a real nest. `cargo xtask test` runs these; by hand:
//! `cargo test -p lab --test nest -- --ignored`.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use dom0::wire::Ending;
use lab::guest::Reason;
use lab::{Disk, Guest, Nest, Options, Suite, disk};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Debian's GRUB as a guest kernel.
const GRUB: &str = "kernel = \"/usr/lib/grub-xen/grub-x86_64-xen.bin\"\nmemory = 64\n";

#[test]
#[ignore = "boots a nest"]
fn dom0_of_trixie() {
    let nest = Nest::boot(&Options::default()).unwrap();
    assert!(
        nest.check("xl info")
            .unwrap()
            .contains("xen_minor              : 20")
    );
    commands(&nest);
    files(&nest);
    disks(&nest);
    guests(&nest);
}

#[test]
#[ignore = "boots a nest"]
fn dom0_of_bookworm() {
    let nest = Nest::boot(&Options {
        suite: Suite::Bookworm,
        ..Options::default()
    })
    .unwrap();
    assert!(
        nest.check("xl info")
            .unwrap()
            .contains("xen_minor              : 17")
    );
    disks(&nest);
    guests(&nest);
}

#[test]
#[ignore = "boots a nest"]
fn instruction_time_is_the_same_twice() {
    let loops: Vec<u64> = (0..2)
        .map(|_| {
            let nest = Nest::boot(&Options {
                icount: true,
                ..Options::default()
            })
            .unwrap();
            let line = "t=$(date +%s%N); for ((i = 0; i < 20000; i++)); do :; done; \
                        echo $(($(date +%s%N) - t))";
            nest.check("true").unwrap();
            nest.check(line).unwrap().trim().parse().unwrap()
        })
        .collect();
    let (a, b) = (loops[0], loops[1]);
    assert!(a.abs_diff(b) * 50 < a, "within 2 %: {a} ns and {b} ns");
}

fn commands(nest: &Nest) {
    let output = nest.run("echo out; echo err >&2; exit 3").unwrap();
    assert_eq!(
        (output.status(), &*output.stdout, &*output.stderr),
        (Some(3), "out\n", "err\n")
    );
    assert!(
        nest.check("exit 3")
            .unwrap_err()
            .to_string()
            .contains("exit status 3")
    );

    let started = Instant::now();
    let slow = nest.spawn("sleep 2; echo slow").unwrap();
    assert_eq!(nest.check("echo quick").unwrap(), "quick\n");
    assert!(
        started.elapsed() < 2 * SECOND,
        "commands run at the same time"
    );
    assert_eq!(slow.wait().unwrap().stdout, "slow\n");

    let limited = nest.run_for("echo before; sleep 100", SECOND).unwrap();
    assert_eq!(
        (limited.ending, &*limited.stdout),
        (Ending::TimedOut, "before\n")
    );
    let killed = nest
        .spawn("sleep 12345 & sleep 12345")
        .unwrap()
        .kill()
        .unwrap();
    assert_eq!(killed.ending, Ending::Killed);
    drop(nest.spawn("exec sleep 12345").unwrap());
    assert_eq!(
        nest.run("sleep 0.5; pgrep -f 'sleep 1234[5]'")
            .unwrap()
            .status(),
        Some(1)
    );
}

fn files(nest: &Nest) {
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    nest.put("/root/new/directory/file", &bytes).unwrap();
    assert!(nest.get("/root/new/directory/file").unwrap() == bytes);
    let missing = nest.get("/root/missing").unwrap_err();
    assert!(
        format!("{missing:#}").contains("No such file"),
        "{missing:#}"
    );
}

fn disks(nest: &Nest) {
    for (name, sector) in [("small", 512), ("large", 4096)] {
        let disk = Disk::new(nest, name, 1 << 20, sector).unwrap();
        let path = disk.path();
        let size = nest
            .check(&format!("blockdev --getss --getsize64 {path}"))
            .unwrap();
        assert_eq!(size, format!("{sector}\n1048576\n"));
        let zeros = disk.sha256(nest, 0, 4096).unwrap();
        nest.check(&format!(
            "echo x | dd of={path} bs=4096 seek=1 conv=notrunc,sync"
        ))
        .unwrap();
        assert_eq!(disk.sha256(nest, 0, 4096).unwrap(), zeros);
        assert_ne!(disk.sha256(nest, 4096, 4096).unwrap(), zeros);
        assert!(disk.sha256(nest, 1 << 20, 1).is_err(), "beyond the end");

        disk.suspend(nest).unwrap();
        let read = format!("dd if={path} of=/dev/null bs=4096 count=1 iflag=direct");
        let mut held = nest.spawn(&read).unwrap();
        assert_eq!(
            held.wait_for(SECOND).unwrap(),
            None,
            "the read is held back"
        );
        disk.resume(nest).unwrap();
        assert!(held.wait().unwrap().success());
        disk.set_failing(nest, true).unwrap();
        assert!(!nest.run(&read).unwrap().success());
        disk.set_failing(nest, false).unwrap();
        nest.check(&read).unwrap();
        disk.remove(nest).unwrap();
    }
    disk::ram_disks(nest, 2, 4 << 20).unwrap();
    assert_eq!(
        nest.check("blockdev --getsize64 /dev/ram1").unwrap(),
        "4194304\n"
    );
}

fn guests(nest: &Nest) {
    let mut grub = nest.create_guest("grub", GRUB).unwrap();
    grub.wait_for("grub> ", 30 * SECOND).unwrap();
    grub.send("echo one${root}two\r").unwrap();
    grub.wait_for("onememdisktwo", 10 * SECOND).unwrap();
    grub.wait_for("grub> ", 10 * SECOND).unwrap();
    assert!(grub.wait_for("no such text", SECOND).is_err());
    let first = grub.id().unwrap();
    grub.send("reboot\r").unwrap();
    assert_eq!(grub.wait_shutdown(20 * SECOND).unwrap(), Reason::Reboot);
    grub.reconnect();
    grub.wait_for("grub> ", 30 * SECOND).unwrap();
    assert_ne!(grub.id().unwrap(), first);
    grub.send("halt\r").unwrap();
    assert_eq!(grub.wait_shutdown(20 * SECOND).unwrap(), Reason::Poweroff);
    grub.wait_gone(20 * SECOND).unwrap();
    drop(grub);

    let again = nest.create_guest("grub", GRUB).unwrap();
    let mut attached = Guest::attach(nest, "grub").unwrap();
    attached.wait_for("grub> ", 30 * SECOND).unwrap();
    again.destroy().unwrap();
    assert!(nest.create_guest("bad", "kernel = \"/nowhere\"\n").is_err());
}
