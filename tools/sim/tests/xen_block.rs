//! The scenarios of FreeBSD's Xen block frontend: s42 to s48, s53 to s57.

use std::time::Duration;

use geom::{Access, Errno};
use hv::Errno as XenErrno;
use sim::storage::{GUEST, XVDA};
use sim::xenstored::Permission;
use sim::{
    Blkback, BlkbackConfig, Call, DetachError, Disk, DomainConfig, Fault, Malice, Storage, Tamper,
    When,
};

const SECOND: Duration = Duration::from_secs(1);

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i / 512 * 7 + i % 251) as u8).collect()
}

fn long() -> bool {
    std::env::var_os("XENOLITH_LONG").is_some()
}

/// A disk in use, opened, with a read that the backend holds back.
fn in_use(seed: u64) -> (Storage, Blkback, sim::storage::Pending) {
    let storage = Storage::new(seed);
    let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    backend.set_held(true);
    let read = storage.begin_read("xbd0", 0, 8192);
    storage.until("the read is out", |_| backend.pending() == 1);
    (storage, backend, read)
}

fn ends_closed(storage: &Storage) {
    storage.until("the frontend is Closed", |s| {
        matches!(s.front_state(XVDA).as_deref(), Some("6") | None)
    });
    assert_eq!(storage.created_and_gone(), (1, 1));
}

#[test]
fn s42_closing_while_open_waits_for_the_last_answer_and_closes() {
    for seed in 0..10 {
        let (storage, backend, read) = in_use(seed);
        let open = storage.open("xbd0", Access::READ);
        let detach = storage.toolstack.detach(&backend.vbd(), false);
        storage.run_for(2 * SECOND);
        // New requests are refused at once, the one under way is waited for.
        let refused = storage.ask(async move {
            let refused = open.read(0, 512).await.map(|bytes| bytes.len());
            drop(open);
            refused
        });
        assert_eq!(refused, Err(Errno::NoDevice));
        assert_eq!(read.outcome(), None);
        assert_eq!(detach.outcome(), None);
        backend.set_held(false);
        storage.until("the detach is done", |_| detach.outcome().is_some());
        assert!(matches!(detach.outcome(), Some(Ok(took)) if took < 3 * SECOND));
        assert_eq!(read.outcome(), Some(Ok(8192)), "the answer came in time");
        assert_eq!(storage.created_and_gone(), (1, 1));
    }
}

#[test]
fn s42_a_holder_does_not_keep_the_toolstack_waiting() {
    let storage = Storage::new(42);
    let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    let open = storage.open("xbd0", Access::READ_WRITE);
    let detach = storage.toolstack.detach(&backend.vbd(), false);
    storage.until("the detach is done", |_| detach.outcome().is_some());
    assert!(matches!(detach.outcome(), Some(Ok(took)) if took < SECOND));
    assert_eq!(
        storage.created_and_gone(),
        (1, 0),
        "somebody still holds it"
    );
    drop(open);
    storage.world.wake_domain(GUEST);
    storage.until("gone", |s| s.created_and_gone() == (1, 1));
    assert_eq!(storage.count_logged("xbd0 gone"), 1);
}

#[test]
fn s43_closed_or_removed_without_a_word_fails_what_is_under_way() {
    for (seed, state) in [Some("6"), None, Some("1"), Some("2")].iter().enumerate() {
        let (storage, backend, read) = in_use(seed as u64);
        backend.set_frozen(true);
        let before = storage.world.now();
        match state {
            Some(state) => backend.write_key("state", state),
            None => storage
                .toolstack
                .store()
                .remove(&backend.vbd().backend_path()),
        }
        storage.until("the read has failed", |_| read.outcome().is_some());
        assert_eq!(read.outcome(), Some(Err(Errno::NoDevice)), "{state:?}");
        let took = storage.world.now().since(before);
        assert!(took < SECOND, "{state:?}: at once, not after {took:?}");
        storage.until("gone", |s| s.created_and_gone().1 == 1);
    }
}

#[test]
fn s44_a_backend_that_goes_without_answers_is_waited_for_five_seconds() {
    for seed in 0..10 {
        let (storage, backend, read) = in_use(seed);
        let before = storage.world.now();
        let detach = storage.toolstack.detach(&backend.vbd(), false);
        storage.until("the read has failed", |_| read.outcome().is_some());
        let took = storage.world.now().since(before);
        assert!(took >= 5 * SECOND && took < 6 * SECOND, "{took:?}");
        assert_eq!(read.outcome(), Some(Err(Errno::NoDevice)));
        ends_closed(&storage);
        // The backend still maps the pages: they are not used again.
        assert_eq!(storage.guest.pv.grants.usage().parked, 2);
        storage.until("the detach has given up", |_| detach.outcome().is_some());
        assert_eq!(detach.outcome(), Some(Err(DetachError::Timeout)));
        backend.set_held(false);
        storage.run_for(120 * SECOND);
        assert_eq!(storage.guest.pv.grants.usage().parked, 0);
        assert_eq!(storage.guest.pv.grants.usage().granted, 0);
        let late = storage.guest.blkfront.as_ref().map(|b| b.late_answers());
        assert_eq!(late, Some(1));
    }
}

#[test]
fn s45_a_detach_that_timed_out_is_finished_later_without_another_event() {
    let (storage, backend, _read) = in_use(45);
    let detach = storage.toolstack.detach(&backend.vbd(), false);
    storage.until("the detach has given up", |_| detach.outcome().is_some());
    assert_eq!(detach.outcome(), Some(Err(DetachError::Timeout)));
    backend.set_held(false);
    let state = format!("{}/state", backend.vbd().backend_path());
    storage.until("the backend is Closed", |s| {
        s.toolstack.store().read(&state).as_deref() == Some("6")
    });
    // The second try has nothing left to do.
    storage.detach(XVDA);
    assert_eq!(storage.created_and_gone(), (1, 1));
    let _again = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
}

#[test]
fn s46_attach_and_detach_over_and_over_leaves_nothing() {
    let rounds = if long() { 1000 } else { 100 };
    let storage = Storage::new(46);
    let before = storage.holdings();
    let bytes = pattern(8192);
    for round in 0..rounds {
        let backend = storage.attach_ready(&Disk::with(&bytes), BlkbackConfig::default());
        let force = round % 2 == 1;
        let busy = round % 3 == 1;
        if busy {
            backend.set_held(true);
        }
        let read = storage.begin_read("xbd0", 0, 8192);
        storage.run_for(Duration::from_micros(storage.world.rng().below(2000)));
        let detach = storage.toolstack.detach(&backend.vbd(), force);
        storage.run_for(Duration::from_micros(storage.world.rng().below(2000)));
        backend.set_held(false);
        storage.until("it is detached", |_| detach.outcome().is_some());
        assert!(matches!(detach.outcome(), Some(Ok(_))), "round {round}");
        storage.until("the read has ended", |_| read.outcome().is_some());
        storage.until("gone", |s| s.created_and_gone() == (round + 1, round + 1));
    }
    storage.run_for(120 * SECOND);
    assert_eq!(storage.holdings(), before);
    assert!(
        storage
            .toolstack
            .store()
            .list("/local/domain/1/device/vbd")
            .is_empty()
    );
}

/// Runs the handshake of a device up to a random moment.
fn somewhere_in_the_handshake(seed: u64) -> (Storage, Blkback) {
    let storage = Storage::new(seed);
    let store = storage.toolstack.store();
    // A toolstack may let its guests make nodes here: then nothing but the frontend itself keeps a
    // removed node from being made again.
    let own = Permission {
        dom: GUEST,
        letter: 'n',
    };
    store.set_permissions(&format!("/local/domain/{GUEST}/device"), &[own]);
    store.set_latency(Duration::from_millis(2));
    let backend = storage.attach(XVDA, &Disk::new(), BlkbackConfig::default());
    let moment = storage.world.rng().below(120_000);
    storage.run_for(Duration::from_micros(moment));
    (storage, backend)
}

fn seeds() -> u64 {
    if long() { 2000 } else { 150 }
}

#[test]
fn s47_a_removed_node_is_not_made_again() {
    for seed in 0..seeds() {
        let (storage, backend) = somewhere_in_the_handshake(seed);
        let store = storage.toolstack.store();
        let vbd = backend.vbd();
        store.together(&[(&vbd.frontend_path(), None), (&vbd.backend_path(), None)]);
        storage.run_for(60 * SECOND);
        assert!(!store.exists(&vbd.frontend_path()), "seed {seed}");
        assert!(!store.exists(&vbd.backend_path()), "seed {seed}");
        let (created, gone) = storage.created_and_gone();
        assert_eq!(created, gone, "seed {seed}");
        storage.run_for(120 * SECOND);
        assert_eq!(storage.guest.pv.grants.usage().granted, 0, "seed {seed}");
    }
}

#[test]
fn s47_a_device_made_anew_at_once_is_not_taken_for_the_former_one() {
    for seed in 0..seeds() {
        let (storage, backend) = somewhere_in_the_handshake(seed);
        let vbd = backend.vbd();
        let store = storage.toolstack.store();
        store.together(&[(&vbd.frontend_path(), None), (&vbd.backend_path(), None)]);
        backend.crash();
        let bytes = pattern(4096);
        let anew = storage.attach(XVDA, &Disk::with(&bytes), BlkbackConfig::default());
        storage.until("xbd0 is the new one", |s| {
            anew.is_connected() && s.is_ready("xbd0")
        });
        storage.expect("xbd0", 0, &bytes);
        let (created, gone) = storage.created_and_gone();
        assert_eq!(created, gone + 1, "seed {seed}");
    }
}

#[test]
fn s48_a_backend_still_connected_to_a_former_life_is_led_through_closed() {
    let storage = Storage::new(48);
    let bytes = pattern(4096);
    // The node is made by hand, in the state that a boot loader leaves.
    let vbd = Storage::vbd(XVDA);
    storage.toolstack.create_vbd(&vbd, false);
    let store = storage.toolstack.store();
    store.write(&format!("{}/state", vbd.backend_path()), "4");
    store.write(&format!("{}/state", vbd.frontend_path()), "4");
    storage.until("the frontend closes", |s| {
        s.front_state(XVDA).as_deref() != Some("4")
    });
    let backend = Blkback::start(
        &storage.world,
        store,
        vbd,
        &Disk::with(&bytes),
        BlkbackConfig {
            malice: Malice {
                // A backend of a former life: Connected, then what the frontend leads it through.
                states: vec![4, 5, 6],
                state_time: Duration::from_millis(200),
                ..Malice::default()
            },
            ..BlkbackConfig::default()
        },
    );
    storage.until("xbd0 is tasted", |s| s.is_ready("xbd0"));
    storage.expect("xbd0", 0, &bytes);
    assert_eq!(backend.state(), 4);
}

#[test]
fn s53_a_disk_that_grows_or_shrinks_while_connected() {
    let storage = Storage::new(53);
    let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    for sectors in [65536, 8, 32768, 1 << 40] {
        backend.resize(sectors);
        storage.until("the new size", |s| {
            let provider = s.guest.geom.provider("xbd0");
            provider.is_some_and(|provider| provider.media_size == sectors * 512)
        });
    }
    storage
        .write("xbd0", (1 << 49) - 512, &[7; 512])
        .expect("the last sector is there");
    assert_eq!(storage.created_and_gone(), (1, 0));
}

#[test]
fn s53_resizes_come_at_any_moment_and_the_last_one_counts() {
    for seed in 0..50 {
        let storage = Storage::new(seed);
        let backend = storage.attach(XVDA, &Disk::new(), BlkbackConfig::default());
        let rng = storage.world.rng();
        let mut sectors = 0;
        for _ in 0..20 {
            sectors = 8 * (1 + rng.below(10_000));
            backend.resize(sectors);
            storage.run_for(Duration::from_micros(rng.below(500)));
        }
        storage.until("the last size", |s| {
            let provider = s.guest.geom.provider("xbd0");
            provider.is_some_and(|provider| provider.media_size == sectors * 512)
        });
    }
}

#[test]
fn s54_large_sectors_and_sector_numbers_in_units_of_512() {
    let storage = Storage::new(54);
    let bytes = pattern(1 << 20);
    let disk = Disk::with(&bytes);
    let config = BlkbackConfig {
        sector_size: 4096,
        ..BlkbackConfig::default()
    };
    let _backend = storage.attach_ready(&disk, config);
    let provider = storage.guest.geom.provider("xbd0");
    let sizes = provider.map(|provider| (provider.media_size, provider.sector_size));
    assert_eq!(sizes, Some((32768 * 512, 4096)));
    storage.expect("xbd0", 4096 * 3, &bytes[4096 * 3..4096 * 200]);
    storage
        .write("xbd0", 4096 * 5, &[9; 4096])
        .expect("written");
    assert!(disk.bytes(4096 * 5, 4096) == [9; 4096]);
    assert_eq!(storage.read("xbd0", 512, 4096).err(), Some(Errno::Invalid));
}

#[test]
fn s55_whatever_a_hostile_backend_answers_it_fails_alone() {
    let tampers = |number: u64| match number % 12 {
        0 => Tamper::Id(number),
        1 => Tamper::Id(u64::MAX),
        2 => Tamper::Operation((number / 12) as u8),
        3 => Tamper::Status(number as i16),
        4 => Tamper::Twice,
        5 => Tamper::Before(number << 16),
        6 => Tamper::Lost,
        7 => Tamper::ProducerAhead(number as u32),
        8 => Tamper::ProducerBack(number as u32),
        9 => Tamper::ShortData(number as usize % 4096),
        10 => Tamper::Padding(0xff),
        _ => Tamper::Before(number),
    };
    for seed in 0..if long() { 5000 } else { 150 } {
        let storage = Storage::new(seed);
        let good = pattern(1 << 14);
        let other = storage.attach(XVDA + 16, &Disk::with(&good), BlkbackConfig::default());
        let rng = storage.world.rng();
        let responses = (0..1 + rng.below(3))
            .map(|_| (1 + rng.below(40), tampers(rng.next() >> 20)))
            .collect();
        let malice = Malice {
            responses,
            flip_after_read: rng.one_in(3),
            keep_mapped: rng.one_in(4),
            scribble_events: rng.one_in(4),
            storm: rng.one_in(4).then_some(Duration::from_micros(50)),
            ..Malice::default()
        };
        let backend = storage.attach(
            XVDA,
            &Disk::new(),
            BlkbackConfig {
                malice,
                ..BlkbackConfig::default()
            },
        );
        storage.run_for(SECOND);
        let reads: Vec<_> = (0..30)
            .filter_map(|i| {
                let geom = &storage.guest.geom;
                let device = geom.open("xbd0", Access::READ).ok()?;
                drop(device);
                Some(storage.begin_read("xbd0", i * 4096, 4096))
            })
            .collect();
        storage.run_for(2 * SECOND);
        storage.expect("xbd1", 0, &good);
        let detach = storage.toolstack.detach(&backend.vbd(), true);
        storage.until("it is detached", |_| detach.outcome().is_some());
        backend.crash();
        storage.run_for(120 * SECOND);
        assert!(
            reads.iter().all(|read| read.outcome().is_some()),
            "seed {seed}"
        );
        let (created, gone) = storage.created_and_gone();
        assert_eq!(created - gone, 1, "seed {seed}");
        assert_eq!(storage.guest.geom.counters().requests, 0, "seed {seed}");
        assert_eq!(storage.guest.pv.grants.usage().parked, 0, "seed {seed}");
        assert!(other.is_connected());
    }
}

#[test]
fn s56_with_hardly_a_grant_or_a_page_left_requests_wait_their_turn() {
    // Room for the ring and one request, not for two at once.
    let configs = [
        DomainConfig {
            pages: 120,
            ..DomainConfig::default()
        },
        DomainConfig {
            pages: 90,
            grant_frames: 1,
            ..DomainConfig::default()
        },
    ];
    for config in configs {
        let storage = Storage::with(56, config);
        let bytes = pattern(1 << 20);
        let backend = storage.attach_ready(&Disk::with(&bytes), BlkbackConfig::default());
        let reads: Vec<_> = (0..16)
            .map(|i| storage.begin_read("xbd0", i << 16, 1 << 16))
            .collect();
        storage.until("all reads are done", |_| {
            reads.iter().all(|read| read.outcome() == Some(Ok(1 << 16)))
        });
        assert!(backend.served().most_pending < 16);
        storage.expect("xbd0", 0, &bytes);
    }
}

#[test]
fn s56_pages_that_fail_now_and_then_stop_nothing() {
    for seed in 0..20 {
        let storage = Storage::new(seed);
        let bytes = pattern(1 << 19);
        let _backend = storage.attach_ready(&Disk::with(&bytes), BlkbackConfig::default());
        for call in [Call::AllocPage, Call::NextGrantTablePage] {
            let fault = Fault::new(GUEST, call, When::OneIn(2), XenErrno::ENOMEM);
            storage.world.plan_fault(fault);
        }
        let reads: Vec<_> = (0..64)
            .map(|i| storage.begin_read("xbd0", i << 13, 1 << 13))
            .collect();
        storage.until("all reads are done", |_| {
            reads.iter().all(|read| read.outcome() == Some(Ok(1 << 13)))
        });
    }
}

#[test]
fn s57_many_devices_at_once_do_not_wait_for_each_other() {
    let storage = Storage::new(57);
    storage
        .toolstack
        .store()
        .set_latency(Duration::from_millis(3));
    let bytes = pattern(8192);
    let backends: Vec<_> = (0..16)
        .map(|i| {
            let disk = Disk::with(&bytes);
            storage.attach(XVDA + i * 16, &disk, BlkbackConfig::default())
        })
        .collect();
    // One of them never speaks.
    backends[3].set_frozen(true);
    storage.until("all others are there", |s| {
        (0..16)
            .filter(|i| *i != 3)
            .all(|i| s.is_ready(&format!("xbd{i}")))
    });
    let detaches: Vec<_> = backends
        .iter()
        .map(|backend| storage.toolstack.detach(&backend.vbd(), true))
        .collect();
    storage.until("all are detached", |_| {
        detaches.iter().all(|detach| detach.outcome().is_some())
    });
    storage.until("all are gone", |s| s.created_and_gone() == (15, 15));
}
