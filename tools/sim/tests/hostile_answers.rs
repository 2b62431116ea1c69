//! A backend whose answers lie: F01 to F07. Each lie ends that one device or that one request, with
//! a message; another disk goes on, nothing leaks, and every request ends exactly once.

use geom::{Access, Buffer, Errno};
use sim::scene::Scene;
use sim::{Blkback, BlkbackConfig, Malice, Tamper};

/// Every response is a lie of this kind, from the first read of the taste on.
fn lies_from_the_start(tamper: Tamper, why: &str) {
    for seed in 0..5 {
        let scene = Scene::new(seed);
        let backend = scene.attach(BlkbackConfig {
            malice: Malice {
                every_response: Some(tamper),
                ..Malice::default()
            },
            ..BlkbackConfig::default()
        });
        scene.has_failed_alone(why);
        drop(backend);
    }
}

/// One lie, while two reads are outstanding on a disk in use: the honest answer before it counts,
/// the other read fails.
fn lies_in_use(tamper: Tamper, why: &str) {
    for seed in 10..15 {
        let scene = Scene::new(seed);
        let backend = scene.attach_ready();
        backend.set_held(true);
        let reads = [0, 8192].map(|at| scene.storage.begin_read("xbd0", at, 4096));
        scene
            .storage
            .until("two reads are out", |_| backend.pending() == 2);
        backend.tamper_next(tamper);
        backend.set_held(false);
        scene.has_failed_alone(why);
        let outcomes = reads.map(|read| read.outcome().expect("each read has ended"));
        let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert!(failed >= 1, "{outcomes:?}");
        for outcome in outcomes {
            assert!(
                matches!(outcome, Ok(4096) | Err(Errno::NoDevice)),
                "{outcome:?}"
            );
        }
    }
}

#[test]
fn f01_response_id_out_of_range() {
    for id in [0, 0xffff, 1 << 32, u64::MAX] {
        lies_from_the_start(Tamper::Id(id), "which is not outstanding");
    }
    lies_in_use(Tamper::Id(u64::MAX), "which is not outstanding");
}

#[test]
fn f02_response_id_answered_before_or_never_issued() {
    lies_in_use(Tamper::Twice, "which is not outstanding");
    lies_in_use(Tamper::Before(7 << 16), "which is not outstanding");
}

#[test]
fn f03_wrong_operation() {
    for operation in [1, 2, 3, 4, 6, 255] {
        lies_from_the_start(Tamper::Operation(operation), "to a request for operation 0");
    }
    lies_in_use(Tamper::Operation(1), "to a request for operation 0");
}

#[test]
fn f04_a_status_that_is_no_status_is_an_error_of_that_request() {
    for status in [1, -3, 0x7fff, i16::MIN] {
        let scene = Scene::new(20);
        let backend = scene.attach_ready();
        backend.tamper_next(Tamper::Status(status));
        let read = scene.storage.read("xbd0", 0, 4096);
        assert_eq!(read.err(), Some(Errno::Io), "status {status}");
        scene.storage.expect("xbd0", 0, &scene.bytes[..4096]);
    }
}

/// Attaches with `trusted=0`: the administrator does not trust the backend.
fn attach_untrusted(scene: &Scene, malice: Malice) -> Blkback {
    let backend = scene.attach(BlkbackConfig {
        malice,
        ..BlkbackConfig::default()
    });
    let path = format!("{}/trusted", backend.vbd().frontend_path());
    scene.storage.toolstack.store().write(&path, "0");
    scene
        .storage
        .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
    backend
}

#[test]
fn f05_data_that_is_shorter_than_claimed_shows_nothing_old() {
    let scene = Scene::new(30);
    scene.disk.write(0, &[0xcc; 1 << 16]);
    let backend = attach_untrusted(&scene, Malice::default());
    // Every page of the pool has held the disk's 0xcc once.
    scene.storage.expect("xbd0", 0, &[0xcc; 1 << 16]);
    backend.tamper_next(Tamper::ShortData(512));
    // The sectors there are zero, and so is the rest.
    scene.storage.expect("xbd0", 1 << 20, &[0; 4096]);
    // And nothing old of another read is what a claim without data brings.
    backend.tamper_next(Tamper::ShortData(0));
    scene.storage.expect("xbd0", 0, &[0; 8192]);
}

#[test]
fn f06_a_page_written_after_the_answer_changes_nothing() {
    let scene = Scene::new(31);
    let backend = scene.attach_ready();
    backend.set_malice(Malice {
        keep_mapped: true,
        ..Malice::default()
    });
    let device = scene.storage.open("xbd0", Access::READ);
    let buffer = Buffer::zeroed(16384);
    let into = buffer.clone();
    let read = scene
        .storage
        .ask(async move { device.read_into(4096, into).await });
    assert_eq!(read, Ok(()));
    assert!(backend.kept() >= 4);
    backend.scribble_kept(0xee);
    assert!(buffer.to_vec() == scene.bytes[4096..20480]);
}

#[test]
fn f07_an_untrusted_backend_is_shown_the_requests_bytes_alone() {
    let scene = Scene::new(32);
    scene.disk.write(0, &[0; 1 << 16]);
    let spy = Malice {
        spy: true,
        ..Malice::default()
    };
    let backend = attach_untrusted(&scene, spy);
    scene.storage.write("xbd0", 0, &[0x5e; 16384]).unwrap();
    scene.storage.read("xbd0", 0, 16384).unwrap();
    scene.storage.write("xbd0", 512, &[0x11; 512]).unwrap();
    scene.storage.read("xbd0", 32768, 4096).unwrap();
    assert_eq!(backend.spied(), Vec::<u8>::new());
}
