//! The composition that the image runs, from its console.

use std::time::Duration;

use hv::ShutdownReason;
use sim::storage::XVDA;
use sim::{BlkbackConfig, Disk, Ended, Machine, Storage};

const SECOND: Duration = Duration::from_secs(1);

fn ready(seed: u64) -> Machine {
    let machine = Machine::boot(seed, "");
    machine.until_shown("ready");
    machine.run_for(SECOND);
    machine
}

#[test]
fn it_boots_answers_and_powers_off() {
    let machine = ready(1);
    assert!(machine.command("help").contains("poweroff"));
    assert!(machine.command("disk list").contains('0'));
    machine.console.type_bytes("poweroff\r");
    machine.until("it has ended", |machine| machine.ended().is_some());
    let ended = Ended::Shutdown(ShutdownReason::Poweroff);
    assert_eq!(machine.ended(), Some(ended));
}

#[test]
fn the_command_line_runs_commands_when_the_disks_are_there() {
    let machine = Machine::boot_with(
        2,
        "run=\"disk list; poweroff\" nonsense",
        sim::DomainConfig::default(),
        |world, toolstack| {
            let vbd = Storage::vbd(XVDA);
            let config = BlkbackConfig::default();
            let _serves = sim::Blkback::attach(world, toolstack, vbd, &Disk::new(), config);
        },
    );
    machine.until("it has ended", |machine| machine.ended().is_some());
    let output = machine.console.output();
    assert!(output.contains("nonsense"), "{output}");
    let (before, after) = output.split_once("ready").unwrap_or_default();
    assert!(before.contains("xbd0: vbd 51712"), "{output}");
    assert!(after.contains("xbd0"), "{output}");
}

#[test]
fn a_disk_of_another_kind_that_is_there_at_boot_takes_no_unit_of_a_xen_disk() {
    const HDA: u32 = 768;
    const SDA: u32 = 2048;
    let machine = Machine::boot_with(
        4,
        "run=\"disk list; poweroff\"",
        sim::DomainConfig::default(),
        |world, toolstack| {
            for number in [HDA, SDA, XVDA, XVDA + 16] {
                let (vbd, config) = (Storage::vbd(number), BlkbackConfig::default());
                let _serves = sim::Blkback::attach(world, toolstack, vbd, &Disk::new(), config);
            }
        },
    );
    machine.until("it has ended", |machine| machine.ended().is_some());
    let output = machine.console.output();
    for name in [
        "xbd0: vbd 51712",
        "xbd1: vbd 51728",
        "xbd2: vbd ",
        "xbd3: vbd ",
    ] {
        assert!(output.contains(name), "{name}: {output}");
    }
}

#[test]
fn s03_a_disk_pulled_while_its_taste_is_pending_is_gone_once_and_holds_nobody_up() {
    for force in [false, true] {
        let machine = ready(3);
        let backend = machine.attach(XVDA, &Disk::new(), BlkbackConfig::default());
        backend.set_held(true);
        machine.until("the taste's read is out", |_| backend.pending() > 0);
        let detach = machine.toolstack.detach(&backend.vbd(), force);
        // The shell answers meanwhile, and another disk comes and is usable.
        assert!(!machine.command("uptime").is_empty());
        let bytes = vec![0x42; 8192];
        let other = machine.attach(XVDA + 16, &Disk::with(&bytes), BlkbackConfig::default());
        machine.until_shown("xbd1: vbd");
        let sum = machine.command("sum xbd1 0 8192");
        // SHA-256 of 8192 times 0x42.
        let expected = "766c00ba277e84ef9550596c7eda86bad4d66a3fee2255924e6388ee9c272792";
        assert!(sum.contains(expected), "{sum}");
        machine.until("the detach has an outcome", |_| detach.outcome().is_some());
        machine.until_shown("geom: xbd0 gone");
        // A plain detach is refused by the backend, which cannot take its pages back yet.
        assert_eq!(matches!(detach.outcome(), Some(Ok(_))), force);
        assert!(!machine.command("grants").is_empty());
        backend.set_held(false);
        machine.run_for(120 * SECOND);
        assert_eq!(machine.domain.pv.grants.usage().parked, 0);
        let counters = machine.domain.geom.counters();
        assert_eq!((counters.disks_created, counters.disks_gone), (2, 1));
        let output = machine.console.output();
        assert_eq!(output.matches("geom: xbd0 gone").count(), 1, "{output}");
        assert!(other.is_connected());
        if !force {
            let again = machine.toolstack.detach(&backend.vbd(), false);
            machine.until("the second detach", |_| again.outcome().is_some());
        }
        let _again = machine.attach(XVDA, &Disk::new(), BlkbackConfig::default());
        machine.until("xbd0 is back", |machine| {
            machine.domain.geom.provider("xbd0").is_some() && machine.domain.geom.is_settled()
        });
    }
}

#[test]
fn ten_disks_that_are_there_at_boot_are_tasted_before_it_is_ready() {
    let config = sim::DomainConfig {
        pages: 4096,
        ..sim::DomainConfig::default()
    };
    let machine = Machine::boot_with(8, "", config, |world, toolstack| {
        for index in 0..10 {
            let vbd = Storage::vbd(XVDA + 16 * index);
            let config = BlkbackConfig::default();
            let _serves = sim::Blkback::attach(world, toolstack, vbd, &Disk::new(), config);
        }
    });
    machine.until_shown("ready");
    for index in 0..10 {
        let name = format!("xbd{index}");
        assert!(machine.domain.geom.provider(&name).is_some(), "{name}");
    }
    assert!(machine.domain.geom.is_settled());
}

#[test]
fn s26_a_command_on_a_disk_that_is_pulled_fails_and_the_shell_goes_on() {
    for seed in 0..8 {
        let machine = ready(100 + seed);
        let config = BlkbackConfig {
            latency: Duration::from_millis(2),
            sectors: 2048,
            ..BlkbackConfig::default()
        };
        let backend = machine.attach(XVDA, &Disk::new(), config);
        machine.until_shown("xbd0: vbd");
        machine.run_for(SECOND);
        machine.console.type_bytes("fill xbd0 7; sum xbd0\r");
        machine.run_for(Duration::from_micros(machine.world.rng().below(100_000)));
        let detach = machine.toolstack.detach(&backend.vbd(), seed % 2 == 0);
        machine.until("it is detached", |_| detach.outcome().is_some());
        machine.until_shown("geom: xbd0 gone");
        assert!(
            machine.command("disk list").contains("created"),
            "seed {seed}"
        );
        let counters = machine.domain.geom.counters();
        assert_eq!((counters.disks_created, counters.disks_gone), (1, 1));
        assert_eq!(counters.requests, 0, "seed {seed}");
    }
}

#[test]
fn x05_shutdown_requests_are_acknowledged_before_they_are_obeyed() {
    for (how, reason) in [
        ("poweroff", ShutdownReason::Poweroff),
        ("halt", ShutdownReason::Poweroff),
        ("reboot", ShutdownReason::Reboot),
    ] {
        let machine = ready(4);
        machine.toolstack.shutdown(Machine::GUEST, how);
        let path = format!("/local/domain/{}/control/shutdown", Machine::GUEST);
        machine.until("the acknowledgement", |machine| {
            machine.toolstack.store().read(&path).as_deref() == Some("")
        });
        machine.until("it has ended", |machine| machine.ended().is_some());
        assert_eq!(machine.ended(), Some(Ended::Shutdown(reason)), "{how}");
    }
}

#[test]
fn x05_unknown_requests_are_acknowledged_and_named() {
    let machine = ready(5);
    let path = format!("/local/domain/{}/control/shutdown", Machine::GUEST);
    for how in ["suspend", "explode", "x\x1b[2J"] {
        machine.toolstack.shutdown(Machine::GUEST, how);
        machine.until("the acknowledgement", |machine| {
            machine.toolstack.store().read(&path).as_deref() == Some("")
        });
    }
    assert_eq!(machine.ended(), None);
    assert!(machine.command("dmesg").contains("explode"));
}

#[test]
fn f23_a_console_that_nobody_drains_holds_up_nothing() {
    let machine = Machine::boot(6, "");
    machine.console.set_held(true);
    machine.run_for(10 * SECOND);
    let _backend = machine.attach(XVDA, &Disk::new(), BlkbackConfig::default());
    machine.until("the disk is tasted", |machine| {
        machine.domain.geom.provider("xbd0").is_some() && machine.domain.geom.is_settled()
    });
    machine.toolstack.shutdown(Machine::GUEST, "poweroff");
    machine.until("it has ended", |machine| machine.ended().is_some());
}

#[test]
fn the_watchdog_is_fed_as_long_as_the_run_loop_comes_round() {
    let machine = Machine::boot(7, "watchdog=5");
    machine.run_for(60 * SECOND);
    assert_eq!(machine.ended(), None);
}
