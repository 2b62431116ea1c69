//! Scenarios 1 to 13: creation, taste and loss.

use std::rc::Rc;
use std::time::Duration;

use geom::disk::{DISK_VERSION, DiskError, DiskState};
use geom::{Access, Errno, Tasted};

use crate::fake::Fake;
use crate::rig::{Rig, params, pattern, with_head};

#[test]
fn s01_gone_before_the_create_event() {
    let rig = Rig::new();
    let (fake, handle) = rig.disk(0, pattern(64));
    assert_eq!(handle.state(), Some(DiskState::Queued));
    handle.gone();
    rig.check();
    assert_eq!(
        fake.gone.get(),
        0,
        "never from inside the driver's own call"
    );
    while rig.step() {
        assert_eq!(rig.names(), [""; 0], "no provider ever becomes visible");
    }
    assert_eq!((fake.gone.get(), fake.opens.get()), (1, 0));
    assert_eq!(handle.state(), Some(DiskState::Gone));
    handle.destroy().unwrap();
    assert_eq!(handle.state(), None);
    rig.assert_empty();
}

#[test]
fn s02_gone_while_the_disk_is_being_taken_in() {
    let rig = Rig::new();
    let (fake, handle) = rig.disk(0, pattern(64));
    let handle = Rc::new(handle);
    let inner = handle.clone();
    *fake.on_open.borrow_mut() = Some(Box::new(move || inner.gone()));
    rig.settle();
    assert_eq!(
        (fake.opens.get(), fake.closes.get(), fake.strategies.get()),
        (1, 1, 0)
    );
    assert_eq!(
        rig.try_open("xbd0", Access::READ).err(),
        Some(Errno::NotFound)
    );
    assert_eq!(fake.gone.get(), 1);
    drop(handle);
    *fake.on_open.borrow_mut() = None;
    rig.assert_empty();
}

#[test]
fn s03_gone_with_the_taste_queued() {
    let rig = Rig::new();
    let (fake, handle) = rig.disk(0, with_head(64, &[(1, 8)]));
    rig.step();
    assert_eq!(rig.live_names(), ["xbd0"]);
    handle.gone();
    rig.settle();
    assert_eq!(fake.opens.get(), 0, "the driver is never opened after gone");
    assert_eq!(fake.gone.get(), 1);
    drop(handle);
    rig.assert_empty();
}

#[test]
fn s04_device_dies_under_a_taster_and_the_driver_fails_the_read() {
    let rig = Rig::new();
    let (fake, handle) = rig.disk(0, with_head(64, &[(1, 8)]));
    fake.hold.set(true);
    rig.settle();
    assert_eq!(fake.held(), 1, "the taste waits for its read");
    handle.gone();
    rig.settle();
    assert_eq!(fake.gone.get(), 0);
    fake.fail_all(Errno::NoDevice);
    rig.settle();
    assert_eq!(fake.gone.get(), 1);
    assert!(rig.names().is_empty());
    drop(handle);
    rig.assert_empty();
}

#[test]
fn s05_a_stuck_taste_holds_up_only_itself() {
    let rig = Rig::new();
    let (stuck, stuck_handle) = rig.disk(0, with_head(64, &[(1, 8)]));
    stuck.hold.set(true);
    rig.settle();
    let (_good, _good_handle) = rig.settled_disk(1, with_head(64, &[(1, 8)]));
    let device = rig.open("xbd1h1", Access::READ);
    assert_eq!(rig.block(device.read(0, 512)).unwrap(), pattern(2)[512..]);
    assert!(!rig.geom.is_settled());
    assert_eq!(rig.geom.next_deadline(), Some(Duration::from_secs(10)));
    rig.wait(Duration::from_secs(10));
    assert!(rig.geom.is_settled(), "the timeout is visible");
    assert_eq!(rig.geom.provider("xbd0").unwrap().tasted, Tasted::Late);
    assert_eq!(rig.geom.next_deadline(), None);
    assert!(rig.geom.take_notice().is_some());
    stuck_handle.gone();
    rig.wait(Duration::from_secs(1000));
    assert_eq!(
        stuck.gone.get(),
        0,
        "withheld while the driver owns a request"
    );
    assert_eq!(stuck_handle.state(), Some(DiskState::Draining));
    stuck.finish_all();
    rig.settle();
    assert_eq!(stuck.gone.get(), 1);
}

#[test]
fn s05b_a_late_taste_goes_on_when_its_read_returns() {
    let rig = Rig::new();
    let (fake, _handle) = rig.disk(0, with_head(64, &[(1, 8)]));
    fake.hold.set(true);
    rig.settle();
    rig.wait(Duration::from_secs(11));
    assert_eq!(rig.live_names(), ["xbd0"]);
    fake.hold.set(false);
    fake.finish_all();
    rig.settle();
    assert_eq!(rig.live_names(), ["xbd0", "xbd0h1"]);
    assert_eq!(rig.geom.provider("xbd0").unwrap().tasted, Tasted::Done);
    assert_eq!(
        fake.log
            .borrow()
            .iter()
            .filter(|(_, at, _)| *at == 0)
            .count(),
        1,
        "read once"
    );
}

#[test]
fn s06_created_and_destroyed_in_a_tight_loop() {
    let rig = Rig::new();
    let rounds = 100_000;
    for round in 0..rounds {
        let fake = Fake::new(Vec::new());
        let handle = rig.geom.disk_create(params(0, 0), fake.driver()).unwrap();
        for _ in 0..round % 7 {
            rig.geom.step(rig.now.get());
        }
        if round % 3 == 0 {
            handle.gone();
        }
        handle.destroy().unwrap();
        rig.geom.poll(rig.now.get());
        assert_eq!(fake.gone.get(), 1);
        assert!(fake.dropped.get());
    }
    let counters = rig.geom.counters();
    assert_eq!(
        (counters.disks_created, counters.disks_gone),
        (rounds, rounds)
    );
    rig.check();
    rig.assert_empty();
}

#[test]
fn s07_destroy_without_gone_tells_the_driver() {
    for steps in 0..8 {
        let rig = Rig::new();
        let (fake, handle) = rig.disk(0, pattern(64));
        for _ in 0..steps {
            rig.step();
        }
        handle.destroy().unwrap();
        rig.settle();
        assert_eq!(fake.gone.get(), 1);
        rig.assert_empty();
    }
}

#[test]
fn s07b_a_dropped_handle_destroys() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    drop(handle);
    rig.settle();
    assert_eq!(fake.gone.get(), 1);
    rig.assert_empty();
}

#[test]
fn s08_gone_again_is_nothing_and_destroy_again_is_an_error() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    for _ in 0..3 {
        handle.gone();
        rig.step();
    }
    drop(device);
    rig.settle();
    handle.gone();
    rig.settle();
    assert_eq!(fake.gone.get(), 1);
    assert_eq!(handle.destroy(), Ok(()));
    assert_eq!(handle.destroy(), Err(DiskError::Destroyed));
    handle.gone();
    rig.settle();
    assert_eq!(fake.gone.get(), 1);
    rig.assert_empty();
}

#[test]
fn s09_what_was_never_created_touches_nothing() {
    let rig = Rig::new();
    let before = rig.geom.counters();
    let fake = Fake::new(pattern(64));
    let refused = rig.geom.disk_create(params(0, 513), fake.driver());
    assert_eq!(refused.err(), Some(DiskError::MediaSize(513)));
    assert!(fake.dropped.get());
    assert_eq!(fake.gone.get(), 0, "no gone without a create");
    assert_eq!(rig.geom.counters(), before);
}

#[test]
fn s11_a_wrong_version_is_an_error_the_caller_sees() {
    let rig = Rig::new();
    let refusal = |change: &dyn Fn(&mut geom::disk::DiskParams)| {
        let mut params = params(0, 64 * 512);
        change(&mut params);
        let error = rig
            .geom
            .disk_create(params, Fake::new(pattern(64)).driver())
            .err();
        assert_eq!(rig.geom.counters().disks_created, 0);
        error.map(|error| error.to_string()).unwrap_or_default()
    };
    let wrong = DISK_VERSION + 1;
    assert!(refusal(&|p| p.version = wrong).contains("version 2, this is version 1"));
    assert!(refusal(&|p| p.version = 0).contains("version 0"));
    assert!(refusal(&|p| p.name = "xbd0".into()).contains("lower case letters"));
    assert!(refusal(&|p| p.name = String::new()).contains("lower case letters"));
    assert!(refusal(&|p| p.name = "x".repeat(17)).contains("lower case letters"));
    assert!(refusal(&|p| p.sector_size = 0).contains("sector size 0"));
    assert!(refusal(&|p| p.sector_size = 513).contains("sector size 513"));
    assert!(refusal(&|p| p.sector_size = 1 << 17).contains("sector size 131072"));
    assert!(refusal(&|p| p.media_size = 1 << 63).contains("media size"));
    assert!(refusal(&|p| p.limits.max_io = 511).contains("smaller than a sector"));
}

#[test]
fn s12_a_lost_disk_is_not_tasted_again_at_the_last_write_close() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let device = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    let requests = fake.strategies.get();
    handle.gone();
    rig.settle();
    let (_new, _new_handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    drop(device);
    rig.settle();
    assert_eq!(fake.strategies.get(), requests, "no retaste");
    assert_eq!(fake.gone.get(), 1);
    assert_eq!(rig.names(), ["xbd0", "xbd0h1"], "no duplicate names");
}

#[test]
fn s13_lookups_find_the_live_one_of_two_of_a_name() {
    let rig = Rig::new();
    let (old, handle) = rig.settled_disk(0, pattern(64));
    let holder = rig.open("xbd0", Access::READ);
    let old_id = holder.id();
    handle.gone();
    rig.settle();
    assert_eq!(
        rig.try_open("xbd0", Access::READ).err(),
        Some(Errno::NoDevice)
    );
    let (_new, _new_handle) = rig.settled_disk(0, pattern(32));
    assert_eq!(rig.names(), ["xbd0", "xbd0"]);
    let found = rig.geom.provider("xbd0").unwrap();
    assert_ne!(found.id, old_id);
    assert_eq!(rig.open("xbd0", Access::READ).media_size(), 32 * 512);
    assert_eq!(holder.error(), Some(Errno::NoDevice));
    drop(holder);
    rig.settle();
    assert_eq!(old.gone.get(), 1, "the old one finishes by itself");
    assert_eq!(rig.names(), ["xbd0"]);
}

#[test]
fn s13b_a_name_in_use_is_refused() {
    let rig = Rig::new();
    let (_fake, handle) = rig.disk(0, pattern(64));
    let again = rig
        .geom
        .disk_create(params(0, 0), Fake::new(Vec::new()).driver());
    assert_eq!(again.err(), Some(DiskError::NameInUse("xbd0".into())));
    handle.gone();
    assert!(
        rig.geom
            .disk_create(params(0, 0), Fake::new(Vec::new()).driver())
            .is_ok()
    );
}

#[test]
fn a_failed_open_leaves_the_provider_untasted_and_the_graph_clean() {
    let rig = Rig::new();
    let (fake, handle) = rig.disk(0, with_head(64, &[(1, 8)]));
    fake.fail_open.set(Some(Errno::Io));
    rig.settle();
    assert_eq!(
        rig.geom.provider("xbd0").unwrap().tasted,
        Tasted::Failed(Errno::Io)
    );
    assert_eq!(rig.try_open("xbd0", Access::READ).err(), Some(Errno::Io));
    rig.settle();
    assert_eq!(rig.geom.counters().consumers, 0);
    fake.fail_open.set(None);
    handle.media_changed().unwrap();
    rig.settle();
    assert_eq!(rig.live_names(), ["xbd0", "xbd0h1"]);
}

#[test]
fn a_disk_without_media_has_a_provider_and_no_requests() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, Vec::new());
    assert!(rig.geom.is_settled());
    assert_eq!(fake.opens.get(), 0);
    let device = rig.open("xbd0", Access::READ);
    assert_eq!(rig.block(device.read(0, 512)), Err(Errno::NoDevice));
}
