//! F15: a backend that offers what it turns out not to know. It is not asked again, and what was
//! asked is done in another way where there is one.

use std::time::Duration;

use geom::{Access, Errno};
use sim::scene::{Scene, pattern};
use sim::{Blkback, BlkbackConfig, Malice, Storage, Tamper};

const SECOND: Duration = Duration::from_secs(1);

/// The bytes of the largest direct request.
const DIRECT: u64 = 11 * 4096;

#[test]
fn f15_a_flush_that_is_offered_but_not_known_is_not_asked_again() {
    let scene = Scene::new(80);
    let keys = [("feature-flush-cache", "1"), ("feature-barrier", "1")];
    let keys = keys.map(|(key, value)| (key.into(), Some(value.into())));
    let backend = scene.attach(BlkbackConfig {
        flush: false,
        barrier: false,
        malice: Malice {
            keys: keys.into(),
            ..Malice::default()
        },
        ..BlkbackConfig::default()
    });
    scene
        .storage
        .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
    let flush = || {
        let device = scene.storage.open("xbd0", Access::READ_WRITE);
        scene.storage.ask(async move { device.flush().await })
    };
    assert_eq!(flush(), Err(Errno::NotSupported));
    let asked = backend.served().errors;
    assert_eq!(asked, 2, "a flush, and a barrier in its place");
    assert_eq!(flush(), Err(Errno::NotSupported));
    assert_eq!(
        backend.served().errors,
        asked,
        "the backend is not asked again"
    );
    scene.storage.expect("xbd0", 0, &scene.bytes[..4096]);
}

#[test]
fn f15_a_barrier_stands_in_for_a_flush_that_is_withdrawn() {
    let scene = Scene::new(81);
    let keys = vec![("feature-flush-cache".into(), Some("1".into()))];
    let backend = scene.attach(BlkbackConfig {
        flush: false,
        malice: Malice {
            keys,
            ..Malice::default()
        },
        ..BlkbackConfig::default()
    });
    scene
        .storage
        .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
    let device = scene.storage.open("xbd0", Access::READ_WRITE);
    assert_eq!(
        scene.storage.ask(async move { device.flush().await }),
        Ok(())
    );
    assert_eq!(backend.served().barriers, 1);
}

/// A backend that answers EOPNOTSUPP to the indirect requests it offers, with its disk in use.
fn without_indirect(scene: &Scene) -> Blkback {
    let backend = scene.attach(BlkbackConfig {
        indirect_segments: None,
        malice: Malice {
            keys: vec![("feature-max-indirect-segments".into(), Some("64".into()))],
            ..Malice::default()
        },
        ..BlkbackConfig::default()
    });
    scene
        .storage
        .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
    assert_eq!(
        max_io(&scene.storage),
        64 * 4096,
        "it is believed until asked"
    );
    backend
}

fn max_io(storage: &Storage) -> u64 {
    let disks = storage.guest.geom.disks();
    let disk = disks
        .iter()
        .find(|disk| disk.name == "xbd0")
        .expect("xbd0 is there");
    disk.limits.max_io
}

#[test]
fn f15_indirect_requests_that_are_not_known_are_sent_again_as_direct_ones() {
    let scene = Scene::new(84);
    let backend = without_indirect(&scene);
    // Several at once: none of them is known to be in vain before the first answer.
    backend.set_held(true);
    let length = scene.bytes.len();
    let reads: Vec<_> = (0..3)
        .map(|_| scene.storage.begin_read("xbd0", 0, length))
        .collect();
    scene
        .storage
        .until("the reads are out", |_| backend.pending() == 3);
    backend.set_held(false);
    scene.storage.until("the reads have ended", |_| {
        reads.iter().all(|read| read.outcome().is_some())
    });
    for read in reads {
        assert_eq!(read.outcome(), Some(Ok(length)));
    }
    assert_eq!(backend.served().errors, 3);
    assert_eq!(max_io(&scene.storage), DIRECT);

    scene.storage.expect("xbd0", 0, &scene.bytes);
    let bytes = pattern(3, length);
    assert_eq!(scene.storage.write("xbd0", 0, &bytes), Ok(()));
    scene.storage.expect("xbd0", 0, &bytes);
    assert_eq!(scene.disk.bytes(0, length), bytes);
    assert_eq!(backend.served().errors, 3, "it is not asked again");
    scene.good_disk_goes_on();
}

#[test]
fn f15_a_write_that_is_sent_again_in_parts_is_whole() {
    let scene = Scene::new(85);
    let backend = without_indirect(&scene);
    let bytes = pattern(4, scene.bytes.len());
    assert_eq!(scene.storage.write("xbd0", 0, &bytes), Ok(()));
    assert_eq!(backend.served().errors, 1);
    assert_eq!(scene.disk.bytes(0, bytes.len()), bytes);
    scene.storage.expect("xbd0", 0, &bytes);
}

#[test]
fn f15_of_a_request_sent_again_the_first_error_counts_after_all_its_parts() {
    let scene = Scene::new(86);
    let backend = without_indirect(&scene);
    backend.set_held(true);
    let length = scene.bytes.len();
    let read = scene.storage.begin_read("xbd0", 0, length);
    scene
        .storage
        .until("the read is out", |_| backend.pending() == 1);
    // The second answer from here is the first part's.
    let answers = backend.served().requests;
    backend.configure(|config| {
        config.malice.responses = vec![(answers + 1, Tamper::Status(-1))];
    });
    backend.set_held(false);
    scene
        .storage
        .until("the read has ended", |_| read.outcome().is_some());
    assert_eq!(read.outcome(), Some(Err(Errno::Io)));
    assert_eq!(scene.storage.guest.geom.counters().requests, 0);
    scene.storage.expect("xbd0", 0, &scene.bytes);
}

#[test]
fn f15_a_disk_that_leaves_fails_a_request_sent_again_once() {
    let scene = Scene::new(87);
    let backend = without_indirect(&scene);
    backend.set_held(true);
    let read = scene.storage.begin_read("xbd0", 0, scene.bytes.len());
    scene
        .storage
        .until("the read is out", |_| backend.pending() == 1);
    backend.set_held(false);
    scene
        .storage
        .until("its parts are out", |_| backend.pending() == 2);
    backend.set_frozen(true);
    let _detach = scene.storage.toolstack.detach(&backend.vbd(), true);
    scene
        .storage
        .until("the read has ended", |_| read.outcome().is_some());
    assert_eq!(read.outcome(), Some(Err(Errno::NoDevice)));
    scene.storage.run_for(120 * SECOND);
    let counters = scene.storage.guest.geom.counters();
    assert_eq!((counters.requests, counters.dropped_bios), (0, 0));
    assert_eq!(scene.storage.created_and_gone(), (2, 1));
}
