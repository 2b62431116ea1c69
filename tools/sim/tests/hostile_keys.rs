//! What a backend, or a store that is slow or full, causes through nodes alone.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sim::machine::Machine;
use sim::storage::{GUEST, XVDA};
use sim::{
    Actor, Blkback, BlkbackConfig, Disk, DomainConfig, Malice, Next, Storage, Toolstack, World, Xen,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn s51_a_backend_that_takes_only_a_small_ring_now_is_not_told_of_the_large_one() {
    let storage = Storage::new(1);
    let bytes = vec![7; 8192];
    let backend = storage.attach_ready(&Disk::with(&bytes), BlkbackConfig::default());
    assert_eq!(backend.served().ring_entries, 512);
    backend.configure(|config| config.ring_order = None);
    backend.close();
    storage.until("it is gone", |s| s.created_and_gone() == (1, 1));
    storage.until("it is there again", |s| {
        s.created_and_gone() == (2, 1) && s.is_ready("xbd0")
    });
    storage.expect("xbd0", 0, &bytes);
    assert_eq!(backend.served().ring_entries, 32);
}

#[test]
fn c13_a_capacity_that_never_rests_fills_no_log() {
    let storage = Storage::new(2);
    let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    let lines = storage.guest.log().len();
    for round in 0..400 {
        backend.resize(1 + round % 7);
        storage.run_for(Duration::from_millis(5));
    }
    for _ in 0..100 {
        backend.write_key("info", "4");
        backend.write_key("state", "4");
        storage.run_for(Duration::from_millis(5));
    }
    let written = storage.guest.log().len() - lines;
    assert!(written <= 20, "{written} lines in 2.5 s");
}

#[test]
fn c13_a_drive_that_says_again_and_again_that_it_is_empty_fills_no_log() {
    let storage = Storage::new(3);
    let config = BlkbackConfig {
        sectors: 0,
        ..BlkbackConfig::default()
    };
    let backend = storage.attach(XVDA, &Disk::new(), config);
    storage.run_for(SECOND);
    for _ in 0..400 {
        backend.write_key("state", "4");
        storage.run_for(Duration::from_millis(5));
    }
    let written = storage.count_logged("no medium");
    assert!((1..=10).contains(&written), "{written} lines in 2 s");
    backend.resize(64);
    storage.until("a medium", |s| s.is_ready("xbd0"));
}

#[test]
fn f16_a_write_permission_that_changed_is_no_new_size() {
    let storage = Storage::new(4);
    let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    backend.write_key("info", "4");
    backend.write_key("state", "4");
    storage.run_for(SECOND);
    assert!(storage.logged("write permission changed"));
    assert_eq!(storage.count_logged("now "), 0);
}

#[test]
fn x03_a_device_that_could_not_say_so_is_closed_when_the_store_lets_it() {
    let storage = Storage::new(5);
    let store = storage.toolstack.store();
    let config = BlkbackConfig {
        malice: Malice {
            states: vec![1, 2],
            state_time: SECOND,
            then_silent: true,
            ..Malice::default()
        },
        ..BlkbackConfig::default()
    };
    store.refuse_commits(100);
    let _backend = storage.attach(XVDA, &Disk::new(), config);
    storage.until("the device ends", |s| s.logged("met others"));
    store.refuse_commits(0);
    storage.until("it is closed", |s| {
        s.front_state(XVDA).as_deref() == Some("6")
    });
}

#[test]
fn c05_a_storm_while_the_store_is_silent_is_looked_at_ever_more_rarely() {
    let storage = Storage::new(6);
    let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    storage.run_for(SECOND);
    // The frontend has asked for the new capacity, and is not answered.
    let store = storage.toolstack.store();
    let asked = store.requests();
    backend.write_key("state", "4");
    storage.until("it asks", |_| store.requests() > asked);
    store.set_silent(true);
    storage.run_for(SECOND);
    backend.configure(|config| config.malice.storm = Some(Duration::from_micros(50)));
    let before = storage.guest.pv.exec.polls();
    storage.run_for(SECOND);
    let polls = storage.guest.pv.exec.polls() - before;
    assert!(polls < 2000, "{polls} polls for 20000 events");
}

#[test]
fn a_store_that_does_not_list_the_devices_at_boot_is_asked_again() {
    let storage = {
        let world = World::new(7);
        let toolstack = Toolstack::start(&world);
        toolstack.store().set_silent(true);
        let guest = sim::Guest::with_disks(&world, &toolstack, GUEST, DomainConfig::default());
        Storage {
            guest,
            toolstack,
            world,
        }
    };
    storage.run_for(90 * SECOND);
    storage.toolstack.store().set_silent(false);
    let _backend = storage.attach(XVDA, &Disk::new(), BlkbackConfig::default());
    storage.until("xbd0 is there", |s| s.is_ready("xbd0"));
}

#[test]
fn c13_a_table_that_is_damaged_anew_at_each_look_fills_no_log() {
    let disk = Disk::with(&damaged_gpt());
    let mut vbds = Vec::new();
    let machine = Machine::boot_with(9, "", DomainConfig::default(), |world, tools| {
        let config = BlkbackConfig::default();
        vbds.push(Blkback::attach(
            world,
            tools,
            Storage::vbd(XVDA),
            &disk,
            config,
        ));
    });
    machine.until_shown("xenolith: ready");
    for round in 0..400 {
        vbds[0].resize(32768 + round % 2 * 8);
        machine.run_for(Duration::from_millis(20));
    }
    let output = machine.console.output();
    let written = output.matches("geom: xbd0").count();
    assert!(
        (1..=11).contains(&written),
        "{written} lines in 8 s\n{output}"
    );
}

/// A sector with the mark of a protective MBR and a GPT header that is none.
fn damaged_gpt() -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    bytes[446 + 4] = 0xee;
    bytes[446 + 8] = 1;
    bytes[446 + 12..446 + 16].fill(0xff);
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes[512..520].copy_from_slice(b"EFI PART");
    bytes
}

/// Gives a disk another size for ever.
struct Restless(Blkback, u64);

impl Actor for Restless {
    fn turn(&mut self, xen: &Xen) -> Next {
        self.1 += 1;
        self.0.resize(32768 + self.1 % 2 * 8);
        Next::At(xen.now().after(Duration::from_millis(300)))
    }
}

#[test]
fn f08_a_disk_that_never_rests_does_not_keep_the_domain_from_being_ready() {
    let machine = Machine::boot_with(
        8,
        "run=poweroff",
        DomainConfig::default(),
        |world, tools| {
            let config = BlkbackConfig {
                latency: SECOND,
                ..BlkbackConfig::default()
            };
            for unit in 0..3 {
                let vbd = Storage::vbd(XVDA + unit * 16);
                let backend = Blkback::attach(world, tools, vbd, &Disk::new(), config.clone());
                let restless = Restless(backend, 0);
                world.spawn("restless", Rc::new(RefCell::new(restless)));
            }
        },
    );
    machine.run_for(300 * SECOND);
    assert!(
        machine.console.output().contains("xenolith: ready"),
        "{}",
        machine.console.output()
    );
}
