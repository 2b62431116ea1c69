//! F24: the store is lost for good, by a daemon that breaks the protocol and cannot reconnect. I/O
//! needs no store, so a disk in use goes on.

use std::time::Duration;

use geom::Errno;
use sim::scene::{Scene, pattern};
use sim::storage::{GUEST, XVDA};
use sim::{BlkbackConfig, Disk, Tamper};

const SECOND: Duration = Duration::from_secs(1);

/// The daemon says what is no message.
fn lose_the_store(scene: &Scene) {
    scene.storage.toolstack.store().break_off(GUEST);
    scene.storage.run_for(60 * SECOND);
    assert!(scene.storage.logged("no more devices: the store is lost"));
}

#[test]
fn f24_a_connected_disk_goes_on_without_the_store() {
    let scene = Scene::new(90);
    let backend = scene.attach_ready();
    backend.set_held(true);
    let read = scene.storage.begin_read("xbd0", 0, 4096);
    lose_the_store(&scene);
    assert!(scene.storage.logged("xenstore: the store is lost"));
    assert_eq!(read.outcome(), None, "it is the backend that is waited for");
    backend.set_held(false);
    scene
        .storage
        .until("the read has ended", |_| read.outcome().is_some());
    assert_eq!(read.outcome(), Some(Ok(4096)));

    let bytes = pattern(5, scene.bytes.len());
    assert_eq!(scene.storage.write("xbd0", 0, &bytes), Ok(()));
    scene.storage.expect("xbd0", 0, &bytes);
    assert_eq!(scene.storage.created_and_gone(), (2, 0));
    scene.good_disk_goes_on();

    // The toolstack is not heard any more, neither when it gives nor when it takes.
    let _unheard = scene
        .storage
        .attach(XVDA + 32, &Disk::new(), BlkbackConfig::default());
    backend.write_key("state", "5");
    scene.storage.run_for(60 * SECOND);
    scene.storage.expect("xbd0", 0, &bytes);
    assert_eq!(scene.storage.created_and_gone(), (2, 0));
}

#[test]
fn f24_without_the_store_a_lie_still_ends_the_disk_and_no_other() {
    let scene = Scene::new(91);
    let backend = scene.attach_ready();
    lose_the_store(&scene);
    backend.tamper_next(Tamper::Id(12345));
    let read = scene.storage.read("xbd0", 0, 4096);
    assert_eq!(read.err(), Some(Errno::NoDevice));
    assert!(scene.storage.logged("which is not outstanding"));
    scene.storage.run_for(SECOND);
    assert_eq!(scene.storage.created_and_gone(), (2, 1));
    scene.good_disk_goes_on();
    // The backend is not told, and keeps the ring until it ends.
    let parked = || scene.storage.guest.pv.grants.usage().parked;
    scene.storage.run_for(120 * SECOND);
    assert!(parked() > 0);
    backend.crash();
    scene.storage.run_for(120 * SECOND);
    assert_eq!(parked(), 0);
}

#[test]
fn f24_a_disk_that_is_leaving_when_the_store_is_lost_leaves() {
    let scene = Scene::new(92);
    let backend = scene.attach_ready();
    backend.set_held(true);
    let read = scene.storage.begin_read("xbd0", 0, 4096);
    scene
        .storage
        .until("the read is out", |_| backend.pending() == 1);
    backend.write_key("state", "5");
    scene.storage.run_for(SECOND);
    assert_eq!(read.outcome(), None);
    lose_the_store(&scene);
    assert_eq!(read.outcome(), Some(Err(Errno::NoDevice)));
    assert_eq!(scene.storage.created_and_gone(), (2, 1));
    scene.good_disk_goes_on();
}

#[test]
fn f24_a_device_on_its_way_when_the_store_is_lost_is_given_up() {
    let scene = Scene::new(93);
    let backend = scene.attach(BlkbackConfig::default());
    backend.set_frozen(true);
    scene.storage.run_for(SECOND);
    let tasks = scene.storage.guest.pv.exec.tasks().len();
    lose_the_store(&scene);
    assert!(scene.storage.logged("xenstore: the store is lost"));
    assert!(scene.storage.guest.pv.exec.tasks().len() < tasks);
    assert_eq!(scene.storage.created_and_gone(), (1, 0));
    scene.good_disk_goes_on();
}
