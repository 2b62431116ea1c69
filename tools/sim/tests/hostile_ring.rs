//! A backend that misuses ring, events and grants, and a world that refuses: C01 to C13.

use std::time::Duration;

use hv::{DomId, Errno, GrantRef};
use sim::storage::{GUEST, XVDA};
use sim::{
    Blkback, BlkbackConfig, Call, Disk, Fault, Malice, Storage, Tamper, Toolstack, Vbd, When,
};

const XVDB: u32 = XVDA + 16;
const SECOND: Duration = Duration::from_secs(1);

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i / 512 * 7 + i % 251) as u8).collect()
}

fn with_malice(malice: Malice) -> BlkbackConfig {
    BlkbackConfig {
        malice,
        ..BlkbackConfig::default()
    }
}

/// A guest with a good disk, `xbd1`.
fn beside_a_good_disk(seed: u64) -> (Storage, Vec<u8>) {
    let storage = Storage::new(seed);
    let bytes = pattern(1 << 16);
    let good = BlkbackConfig::default();
    let _serves = storage.attach(XVDB, &Disk::with(&bytes), good);
    storage.until("the good disk is there", |s| s.is_ready("xbd1"));
    (storage, bytes)
}

/// What `xbd0`'s backend does to the ring's index ends `xbd0` and nothing else.
fn index_ends_the_disk(tamper: Tamper) {
    for seed in 0..5 {
        let (storage, good) = beside_a_good_disk(seed);
        let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
        backend.set_malice(Malice {
            responses: vec![(backend.served().responses + 1, tamper)],
            ..Malice::default()
        });
        assert!(storage.read("xbd0", 0, 4096).is_ok() || storage.logged("breaks the protocol"));
        storage.until("an error", |s| s.front_error(XVDA).is_some());
        assert_eq!(storage.count_logged("breaks the protocol"), 1);
        assert!(
            storage.logged("rsp_prod"),
            "{}",
            storage.guest.log().join("\n")
        );
        storage.expect("xbd1", 0, &good);
        storage.run_for(60 * SECOND);
        assert_eq!(storage.created_and_gone(), (2, 1));
        assert_eq!(storage.guest.pv.grants.usage().parked, 0);
    }
}

#[test]
fn c01_a_producer_far_ahead() {
    for by in [1, 513, 1 << 20, 1 << 31] {
        index_ends_the_disk(Tamper::ProducerAhead(by));
    }
}

#[test]
fn c02_a_producer_that_goes_back() {
    for by in [2, 3, 600] {
        index_ends_the_disk(Tamper::ProducerBack(by));
    }
}

#[test]
fn c02_a_ring_full_of_answers_is_legal() {
    let storage = Storage::new(1);
    let bytes = pattern(1 << 20);
    let config = BlkbackConfig {
        ring_order: None,
        ..BlkbackConfig::default()
    };
    let backend = storage.attach_ready(&Disk::with(&bytes), config);
    backend.set_held(true);
    let reads: Vec<_> = (0..40)
        .map(|i| storage.begin_read("xbd0", i * 4096, 4096))
        .collect();
    storage.until("the ring is full", |_| backend.pending() == 32);
    backend.set_held(false);
    storage.until("all reads are done", |_| {
        reads.iter().all(|read| read.outcome() == Some(Ok(4096)))
    });
}

#[test]
fn c03_what_changes_after_it_was_read_does_not_matter() {
    for seed in 0..5 {
        let storage = Storage::new(seed);
        let bytes = pattern(1 << 18);
        let config = with_malice(Malice {
            flip_after_read: true,
            ..Malice::default()
        });
        let _backend = storage.attach_ready(&Disk::with(&bytes), config);
        storage.expect("xbd0", 0, &bytes);
        storage
            .write("xbd0", 0, &bytes[4096..8192])
            .expect("written");
        storage.expect("xbd0", 0, &bytes[4096..8192]);
        assert_eq!(storage.front_error(XVDA), None);
    }
}

#[test]
fn c04_random_event_fields_cost_no_more_than_events() {
    let storage = Storage::new(4);
    let bytes = pattern(1 << 18);
    let config = with_malice(Malice {
        scribble_events: true,
        ..Malice::default()
    });
    let backend = storage.attach_ready(&Disk::with(&bytes), config);
    let before = storage.guest.pv.exec.polls();
    for _ in 0..20 {
        storage.expect("xbd0", 0, &bytes);
    }
    let polls = storage.guest.pv.exec.polls() - before;
    let requests = backend.served().requests;
    assert!(
        polls < 20 * requests,
        "{polls} polls for {requests} requests"
    );
}

/// An event storm on `xbd0`: what it costs in polls of tasks, for a second of it.
fn storm(storage: &Storage, backend: &Blkback) -> u64 {
    backend.set_malice(Malice {
        storm: Some(Duration::from_micros(10)),
        ..Malice::default()
    });
    let before = storage.guest.pv.exec.polls();
    storage.run_for(SECOND);
    storage.guest.pv.exec.polls() - before
}

#[test]
fn c05_an_event_storm_costs_little_and_starves_nobody() {
    let (storage, good) = beside_a_good_disk(5);
    let bytes = pattern(1 << 16);
    let backend = storage.attach_ready(&Disk::with(&bytes), BlkbackConfig::default());
    let polls = storm(&storage, &backend);
    assert!(polls < 1000, "{polls} polls in a second of storm");
    storage.expect("xbd1", 0, &good);
    storage.expect("xbd0", 0, &bytes);
    assert_eq!(storage.front_error(XVDA), None);
}

#[test]
fn c06_a_backend_that_never_raises_an_event_stops_itself_alone() {
    let (storage, good) = beside_a_good_disk(6);
    let backend = storage.attach(
        XVDA,
        &Disk::new(),
        with_malice(Malice {
            mute: true,
            ..Malice::default()
        }),
    );
    storage.until("the disk is there", |s| {
        s.guest.geom.provider("xbd0").is_some()
    });
    storage.run_for(30 * SECOND);
    storage.expect("xbd1", 0, &good);
    assert!(
        storage.guest.geom.is_settled(),
        "the taste has its deadline"
    );
    // When it begins to speak, what it did meanwhile is found.
    backend.set_malice(Malice::default());
    let read = storage.begin_read("xbd0", 4096, 4096);
    storage.until("the read is done", |_| read.outcome() == Some(Ok(4096)));
    storage.detach(XVDA);
    assert_eq!(storage.created_and_gone(), (2, 1));
}

#[test]
fn c06_no_answer_is_overslept() {
    // Each read waits for its answer alone, so each needs the event that the last look asked for.
    for seed in 0..40 {
        let storage = Storage::new(seed);
        let bytes = pattern(1 << 16);
        let config = BlkbackConfig {
            latency: Duration::from_micros(1 + seed % 30),
            ..BlkbackConfig::default()
        };
        let _backend = storage.attach_ready(&Disk::with(&bytes), config);
        for at in (0..1 << 16).step_by(4096) {
            storage.expect("xbd0", at as u64, &bytes[at..at + 4096]);
        }
    }
}

#[test]
fn c07_a_ring_that_is_dirty_at_first_contact() {
    for seed in 0..10 {
        let (storage, good) = beside_a_good_disk(seed);
        let _backend = storage.attach(
            XVDA,
            &Disk::new(),
            with_malice(Malice {
                dirty_ring: true,
                ..Malice::default()
            }),
        );
        storage.until("an error", |s| s.front_error(XVDA).is_some());
        assert!(
            storage.logged("rsp_prod"),
            "{}",
            storage.guest.log().join("\n")
        );
        storage.expect("xbd1", 0, &good);
        storage.run_for(60 * SECOND);
        let (created, gone) = storage.created_and_gone();
        assert_eq!(created - gone, 1);
    }
}

#[test]
fn c08_a_port_closed_under_our_feet() {
    let (storage, good) = beside_a_good_disk(8);
    let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    backend.set_malice(Malice {
        close_port_after: Some(backend.served().responses + 1),
        ..Malice::default()
    });
    assert_eq!(
        storage.read("xbd0", 0, 4096).map(|bytes| bytes.len()),
        Ok(4096)
    );
    let stuck = storage.begin_read("xbd0", 0, 4096);
    storage.run_for(60 * SECOND);
    assert_eq!(stuck.outcome(), None, "nobody tells the backend");
    storage.expect("xbd1", 0, &good);
    let detach = storage.toolstack.detach(&backend.vbd(), true);
    storage.until("it is detached", |_| detach.outcome().is_some());
    storage.until("the read has ended", |_| stuck.outcome().is_some());
    assert_eq!(storage.created_and_gone(), (2, 1));
}

#[test]
fn c08_no_port_no_page_no_grant_at_the_handshake_is_an_error_of_that_device() {
    let faults = [
        (Call::AllocUnbound, Errno::ENOSPC),
        (Call::AllocPage, Errno::ENOMEM),
        (Call::NextGrantTablePage, Errno::ENOMEM),
    ];
    for (call, error) in faults {
        let storage = Storage::new(9);
        let before = storage.holdings();
        storage
            .world
            .plan_fault(Fault::new(GUEST, call, When::From(1), error));
        let _backend = storage.attach(XVDA, &Disk::new(), BlkbackConfig::default());
        storage.until("an error", |s| s.front_error(XVDA).is_some());
        assert_eq!(storage.created_and_gone(), (0, 0), "{call:?}");
        storage.world.clear_faults();
        storage.detach(XVDA);
        // What the guest complained of stays in the store until somebody has read it.
        let complaints = format!("/local/domain/{GUEST}/error/device");
        storage.toolstack.store().remove(&complaints);
        storage.run_for(120 * SECOND);
        assert_eq!(storage.holdings(), before, "{call:?}");
        let _again = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    }
}

#[test]
fn c08_a_grant_that_the_backend_cannot_map_is_the_end_of_that_device() {
    let (storage, good) = beside_a_good_disk(10);
    let fault = Fault::new(DomId(0), Call::GrantMap, When::Nth(1), Errno::EINVAL);
    storage.world.plan_fault(fault);
    let _backend = storage.attach(XVDA, &Disk::new(), BlkbackConfig::default());
    storage.run_for(60 * SECOND);
    storage.expect("xbd1", 0, &good);
    storage.detach(XVDA);
    storage.run_for(60 * SECOND);
    let _again = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
}

#[test]
fn c09_a_page_still_mapped_at_teardown_is_parked() {
    let storage = Storage::new(11);
    let before = storage.holdings();
    let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    backend.set_held(true);
    let read = storage.begin_read("xbd0", 0, 16384);
    storage.until("the read is out", |_| backend.pending() == 1);
    let detach = storage.toolstack.detach(&backend.vbd(), true);
    storage.until("the read has failed", |_| read.outcome().is_some());
    storage.run_for(20 * SECOND);
    assert!(matches!(detach.outcome(), Some(Ok(_))));
    assert_eq!(storage.created_and_gone(), (1, 1));
    let grants = storage.guest.pv.grants.usage();
    assert_eq!(grants.parked, 4, "the pages that the read goes to");
    assert_eq!(
        grants.granted, 16,
        "the ring, which is looked at for late answers"
    );
    backend.set_held(false);
    storage.run_for(120 * SECOND);
    assert_eq!(storage.holdings(), before);
    let late = storage.guest.blkfront.as_ref().map(|b| b.late_answers());
    assert_eq!(
        late,
        Some(1),
        "the answer came, was counted and went to nobody"
    );
}

#[test]
fn c09_what_a_backend_may_still_come_to_is_parked_too() {
    for seed in 12..17 {
        let storage = Storage::new(seed);
        let usage = || storage.guest.pv.grants.usage();
        let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
        backend.set_frozen(true);
        let read = storage.begin_read("xbd0", 0, 16384);
        storage.run_for(SECOND);
        let _detach = storage.toolstack.detach(&backend.vbd(), true);
        storage.until("the read has failed", |_| read.outcome().is_some());
        storage.until("gone", |s| s.created_and_gone() == (1, 1));
        assert_eq!(usage().parked, 4, "the pages that the read goes to");

        // Another disk of the same backend domain: its pages get the references that are free.
        let bytes = pattern(1 << 18);
        let other = Storage::vbd(XVDA + 16);
        let config = BlkbackConfig::default();
        let (world, toolstack) = (&storage.world, &storage.toolstack);
        let _other = Blkback::attach(world, toolstack, other, &Disk::with(&bytes), config);
        storage.until("xbd1 is tasted", |s| s.is_ready("xbd1"));
        storage.run_for(120 * SECOND);
        assert_eq!(usage().parked, 4 + 16, "and the ring");

        // It reads the request that it had not come to.
        backend.set_frozen(false);
        storage.until("the backend lets go", |_| usage().parked == 0);
        storage.expect("xbd1", 0, &bytes);
        assert_eq!(storage.created_and_gone(), (2, 1));
        assert_eq!(usage().parked_ever, 20);
    }
}

#[test]
fn c10_a_backend_domain_that_dies_fails_every_request_once() {
    const DRIVER_DOMAIN: DomId = DomId(7);
    for seed in 20..30 {
        let (storage, good) = beside_a_good_disk(seed);
        let toolstack: &Toolstack = &storage.toolstack;
        toolstack.create_domain(DRIVER_DOMAIN, "storage", sim::DomainConfig::default());
        let vbd = Vbd {
            backend: DRIVER_DOMAIN,
            ..Storage::vbd(XVDA)
        };
        let config = BlkbackConfig::default();
        let backend = Blkback::attach(&storage.world, toolstack, vbd, &Disk::new(), config);
        storage.until("xbd0 is tasted", |s| s.is_ready("xbd0"));
        backend.set_held(true);
        let reads: Vec<_> = (0..8)
            .map(|i| storage.begin_read("xbd0", i * 4096, 4096))
            .collect();
        storage.until("all reads are out", |_| backend.pending() == 8);
        backend.crash();
        toolstack.destroy_domain(DRIVER_DOMAIN);
        storage.until("all reads have failed", |_| {
            reads
                .iter()
                .all(|read| matches!(read.outcome(), Some(Err(_))))
        });
        storage.until("xbd0 is gone", |s| s.created_and_gone() == (2, 1));
        storage.run_for(10 * SECOND);
        assert_eq!(storage.guest.pv.grants.usage().parked, 0);
        storage.expect("xbd1", 0, &good);
    }
}

#[test]
fn c11_a_ring_mapped_twice_or_never() {
    let (storage, good) = beside_a_good_disk(31);
    let bytes = pattern(8192);
    let before = storage.holdings().xen.pages;
    let twice = with_malice(Malice {
        map_twice: true,
        ..Malice::default()
    });
    let backend = storage.attach_ready(&Disk::with(&bytes), twice);
    storage.expect("xbd0", 0, &bytes);
    storage.detach(XVDA);
    storage.run_for(SECOND);
    assert_eq!(storage.holdings().xen.pages, before + 16, "the ring's");
    storage.run_for(120 * SECOND);
    assert_eq!(storage.guest.pv.grants.usage().parked, 16);
    backend.release_kept();
    storage.run_for(5 * SECOND);
    assert_eq!(storage.holdings().xen.pages, before);

    let never = with_malice(Malice {
        never_map: true,
        ..Malice::default()
    });
    let _backend = storage.attach(XVDA, &Disk::new(), never);
    storage.run_for(60 * SECOND);
    storage.expect("xbd1", 0, &good);
    storage.detach(XVDA);
    let (created, gone) = storage.created_and_gone();
    assert_eq!(created - gone, 1);
}

#[test]
fn c12_reconnecting_over_and_over_grows_nothing() {
    let rounds = if std::env::var_os("XENOLITH_LONG").is_some() {
        10_000
    } else {
        200
    };
    let storage = Storage::new(32);
    let bytes = pattern(8192);
    let backend = storage.attach_ready(&Disk::with(&bytes), BlkbackConfig::default());
    storage.expect("xbd0", 0, &bytes);
    let mut connected = None;
    for round in 0..rounds {
        backend.close();
        storage.until("xbd0 is gone", |s| s.guest.geom.provider("xbd0").is_none());
        storage.until("xbd0 is back", |s| s.is_ready("xbd0"));
        storage.expect("xbd0", 0, &bytes);
        if round % 50 == 10 {
            storage.run_for(120 * SECOND);
            let holdings = *connected.get_or_insert_with(|| storage.holdings());
            assert_eq!(storage.holdings(), holdings, "round {round}");
        }
    }
    let (created, gone) = storage.created_and_gone();
    assert_eq!((created, gone), (rounds + 1, rounds));
}

#[test]
fn c13_hostile_acts_fill_no_log() {
    let storage = Storage::new(33);
    let lines = storage.guest.log().len();
    // A thousand times the toolstack makes the device anew, and its backend lies at once.
    for _ in 0..200 {
        let backend = storage.attach(
            XVDA,
            &Disk::new(),
            with_malice(Malice {
                every_response: Some(Tamper::Id(u64::MAX)),
                ..Malice::default()
            }),
        );
        storage.until("an error", |s| s.front_error(XVDA).is_some());
        let detach = storage.toolstack.detach(&backend.vbd(), true);
        storage.until("it is detached", |_| detach.outcome().is_some());
        let error = format!("/local/domain/{GUEST}/error/device/vbd/{XVDA}/error");
        storage.toolstack.store().remove(&error);
    }
    let written = storage.count_logged("breaks the protocol");
    let seconds = storage.world.now().since_start().as_secs();
    assert!(
        written as u64 <= 10 * (seconds / 10 + 1),
        "{written} complaints in {seconds} s, and {} lines",
        storage.guest.log().len() - lines
    );
}

#[test]
fn a_stale_reference_is_the_guests_own_no_more() {
    let storage = Storage::new(34);
    let backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    storage.detach(XVDA);
    storage.run_for(60 * SECOND);
    drop(backend);
    for entry in 8..512 {
        let access = hv::Access::ReadOnly;
        let mapped = storage
            .world
            .grant_map_one(DomId(0), GUEST, GrantRef(entry), access);
        assert!(mapped.is_err(), "grant {entry}");
    }
}
