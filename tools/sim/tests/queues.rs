//! Several queues for one disk, each with a ring and an event channel of its own.

use std::time::Duration;

use geom::{Access, Errno};
use sim::scene::pattern;
use sim::storage::XVDA;
use sim::{Blkback, BlkbackConfig, Disk, DomainConfig, Malice, Storage, Tamper};

const SECOND: Duration = Duration::from_secs(1);

/// A guest that makes up to four.
fn four(seed: u64) -> Storage {
    Storage::with_queues(seed, DomainConfig::default(), 4)
}

fn offering(queues: u32) -> BlkbackConfig {
    BlkbackConfig {
        queues: Some(queues),
        ..BlkbackConfig::default()
    }
}

fn front_key(storage: &Storage, key: &str) -> Option<String> {
    let path = format!("{}/{key}", Storage::vbd(XVDA).frontend_path());
    storage.toolstack.store().read(&path)
}

#[test]
fn requests_go_to_the_queue_with_the_fewest_outstanding() {
    let storage = four(1);
    let bytes = pattern(1, 1 << 20);
    let disk = Disk::with(&bytes);
    let backend = storage.attach_ready(&disk, offering(4));
    assert!(storage.logged("4 queues"), "{:?}", storage.guest.log());
    let before = backend.taken();
    backend.set_held(true);
    let reads: Vec<_> = (0..32)
        .map(|i| storage.begin_read("xbd0", i * 4096, 4096))
        .collect();
    storage.until("all are out", |_| backend.pending() == 32);
    let taken: Vec<_> = backend
        .taken()
        .iter()
        .zip(before)
        .map(|(now, before)| now - before)
        .collect();
    assert_eq!(taken, [8; 4]);
    backend.set_held(false);
    storage.until("all are done", |_| {
        reads.iter().all(|read| read.outcome() == Some(Ok(4096)))
    });
    storage.expect("xbd0", 0, &bytes);
    assert_eq!(storage.write("xbd0", 0, &pattern(2, 1 << 20)), Ok(()));
    let device = storage.open("xbd0", Access::READ_WRITE);
    assert_eq!(storage.ask(async move { device.flush().await }), Ok(()));
    assert!(disk.bytes(0, 1 << 20) == pattern(2, 1 << 20));
}

#[test]
fn the_keys_of_several_queues_lie_in_folders_and_those_of_one_do_not() {
    let storage = four(2);
    let _backend = storage.attach_ready(&Disk::new(), offering(2));
    let key = |key: &str| front_key(&storage, key);
    assert_eq!(key("multi-queue-num-queues").as_deref(), Some("2"));
    assert_eq!(key("ring-page-order").as_deref(), Some("4"));
    for queue in ["queue-0", "queue-1"] {
        assert!(key(&format!("{queue}/event-channel")).is_some());
        assert!(key(&format!("{queue}/ring-ref15")).is_some());
        assert_eq!(key(&format!("{queue}/ring-ref")), None);
    }
    for absent in [
        "ring-ref",
        "ring-ref0",
        "event-channel",
        "queue-2/ring-ref0",
    ] {
        assert_eq!(key(absent), None, "{absent}");
    }
    let storage = four(3);
    let _backend = storage.attach_ready(&Disk::new(), offering(1));
    assert_eq!(front_key(&storage, "multi-queue-num-queues"), None);
    assert!(front_key(&storage, "event-channel").is_some());
}

#[test]
fn f13_absurd_queue_offers_are_clamped() {
    for (offer, queues) in [
        ("0", 1),
        ("-1", 1),
        ("many", 1),
        ("3", 3),
        ("4294967296", 4),
        ("18446744073709551615", 4),
    ] {
        let storage = four(4);
        let bytes = pattern(3, 1 << 16);
        let config = BlkbackConfig {
            malice: Malice {
                keys: vec![("multi-queue-max-queues".into(), Some(offer.into()))],
                ..Malice::default()
            },
            ..offering(4)
        };
        let backend = storage.attach_ready(&Disk::with(&bytes), config);
        assert_eq!(backend.served().queues, queues, "{offer}");
        storage.expect("xbd0", 0, &bytes);
    }
}

#[test]
fn f13_an_offer_that_shrinks_or_disappears_goes_for_the_next_connection() {
    let storage = four(5);
    let bytes = pattern(4, 1 << 16);
    let backend = storage.attach_ready(&Disk::with(&bytes), offering(4));
    for (lives, offer, ring_order, queues) in [
        (2, Some(2), Some(4), 2),
        (3, None, Some(4), 1),
        (4, Some(4), None, 4),
        (5, None, None, 1),
        (6, Some(3), Some(1), 3),
    ] {
        backend.configure(|config| {
            config.queues = offer;
            config.ring_order = ring_order;
        });
        backend.close();
        storage.until("the next connection", |s| {
            s.created_and_gone() == (lives, lives - 1) && s.is_ready("xbd0")
        });
        assert_eq!(backend.served().queues, queues);
        storage.expect("xbd0", 0, &bytes);
    }
}

#[test]
fn f02_an_answer_on_another_queue_s_ring_ends_the_device() {
    let storage = four(6);
    let backend = storage.attach_ready(&Disk::new(), offering(2));
    // Both queues have one outstanding, as alike as they can be.
    backend.set_held(true);
    let reads = [(); 2].map(|()| storage.begin_read("xbd0", 0, 4096));
    storage.until("both are out", |_| backend.pending() == 2);
    backend.tamper_next(Tamper::OtherQueue);
    backend.set_held(false);
    storage.until("the device has failed", |s| s.front_error(XVDA).is_some());
    assert!(storage.logged("which is not outstanding"));
    storage.until("the reads have failed", |_| {
        reads.iter().all(|read| read.outcome().is_some())
    });
    let outcomes = reads.map(|read| read.outcome());
    assert_eq!(outcomes, [Some(Err(Errno::NoDevice)); 2]);
}

#[test]
fn f02_an_error_on_one_ring_does_not_lose_the_answers_on_the_other() {
    let storage = four(7);
    let backend = storage.attach_ready(&Disk::new(), offering(2));
    backend.set_held(true);
    let reads = [(); 2].map(|()| storage.begin_read("xbd0", 0, 4096));
    storage.until("both are out", |_| backend.pending() == 2);
    // The first answer is good, and on one of the rings; the second one is a lie.
    let sent = backend.served().responses;
    backend.configure(|config| {
        config.latency = Duration::from_nanos(1);
        config.malice.responses = vec![(sent + 2, Tamper::Operation(9))];
    });
    backend.set_held(false);
    storage.until("the device has failed", |s| s.front_error(XVDA).is_some());
    storage.until("the reads have ended", |_| {
        reads.iter().all(|read| read.outcome().is_some())
    });
    let outcomes = reads.map(|read| read.outcome().and_then(Result::ok));
    assert!(outcomes.contains(&Some(4096)) && outcomes.contains(&None));
}

#[test]
fn s44_answers_that_come_too_late_are_counted_on_all_rings() {
    let storage = four(8);
    let backend = storage.attach_ready(&Disk::new(), offering(4));
    backend.set_held(true);
    let reads: Vec<_> = (0..16)
        .map(|_| storage.begin_read("xbd0", 0, 8192))
        .collect();
    storage.until("all are out", |_| backend.pending() == 16);
    let detach = storage.toolstack.detach(&Storage::vbd(XVDA), false);
    storage.until("the detach has an outcome", |_| detach.outcome().is_some());
    assert!(
        reads
            .iter()
            .all(|read| read.outcome() == Some(Err(Errno::NoDevice)))
    );
    backend.set_held(false);
    storage.run_for(120 * SECOND);
    let late = storage.guest.blkfront.as_ref().map(|b| b.late_answers());
    assert_eq!(late, Some(16));
    assert_eq!(storage.guest.pv.grants.usage().parked, 0);
}

#[test]
fn s46_attach_and_detach_with_several_queues_leaves_nothing() {
    let storage = four(9);
    let before = storage.holdings();
    let bytes = pattern(5, 1 << 16);
    for round in 0..20 {
        let backend = storage.attach_ready(&Disk::with(&bytes), offering(4));
        storage.expect("xbd0", 0, &bytes);
        let read = storage.begin_read("xbd0", 0, 8192);
        let detach = storage.toolstack.detach(&backend.vbd(), round % 2 == 1);
        storage.until("it is detached", |_| detach.outcome().is_some());
        storage.until("the read has ended", |_| read.outcome().is_some());
    }
    storage.run_for(120 * SECOND);
    assert_eq!(storage.holdings(), before);
}

#[test]
fn s56_with_little_memory_there_is_one_queue() {
    let config = DomainConfig {
        pages: 240,
        ..DomainConfig::default()
    };
    let storage = Storage::with_queues(10, config, 4);
    let bytes = pattern(6, 1 << 18);
    let backend: Blkback = storage.attach_ready(&Disk::with(&bytes), offering(4));
    assert_eq!(backend.served().queues, 1);
    storage.expect("xbd0", 0, &bytes);
}
