//! Scenarios 14 to 17 and 21 to 24, and 42 to 46 as far as GEOM sees them: orphans and withering.

use std::rc::Rc;
use std::time::Instant;

use geom::disk::DiskState;
use geom::{Access, Errno};

use crate::fake::Fake;
use crate::rig::{Rig, params, pattern, poll_once, with_head, write_head};

/// Four providers on top of each other, each one sector into the one below.
fn stack() -> Vec<u8> {
    let mut media = pattern(64);
    write_head(&mut media, 0, &[(1, 60)]);
    write_head(&mut media, 1, &[(1, 50)]);
    write_head(&mut media, 2, &[(1, 40)]);
    media
}

#[test]
fn s14_lost_while_the_last_writer_closes() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let writer = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    drop(writer);
    // The taste is posted; now the disk is lost before it runs.
    handle.gone();
    let strategies = fake.strategies.get();
    rig.settle();
    assert_eq!(fake.strategies.get(), strategies);
    assert_eq!(
        rig.geom.counters().consumers,
        0,
        "nobody attached afterwards"
    );
    assert_eq!(fake.gone.get(), 1);
}

#[test]
fn s15_attaching_to_a_lost_provider_fails() {
    let rig = Rig::new();
    let (_fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    handle.gone();
    assert_eq!(
        rig.try_open("xbd0", Access::READ).err(),
        Some(Errno::NoDevice)
    );
    rig.step();
    assert!(rig.try_open("xbd0h1", Access::READ).is_err());
    rig.settle();
    assert_eq!(
        rig.try_open("xbd0", Access::READ).err(),
        Some(Errno::NotFound)
    );
}

#[test]
fn s16_lost_twice_tells_each_consumer_once() {
    // Spoiled from above, then lost from below, in both orders; `check` counts the orphan calls.
    for gone_first in [false, true] {
        let rig = Rig::new();
        let (fake, handle) = rig.settled_disk(0, stack());
        let top = rig.open("xbd0h1h1h1", Access::READ);
        let raw = rig.open("xbd0", Access::READ_WRITE);
        if !gone_first {
            rig.settle();
        }
        handle.gone();
        handle.gone();
        rig.settle();
        assert_eq!(top.error(), Some(Errno::NoDevice));
        drop((raw, top));
        rig.settle();
        assert_eq!(fake.gone.get(), 1);
    }
}

#[test]
fn s17_spoil_and_orphan_pending_on_one_consumer() {
    for steps in 0..6 {
        let rig = Rig::new();
        let (fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
        let raw = rig.open("xbd0", Access::READ_WRITE);
        for _ in 0..steps {
            rig.step();
        }
        handle.gone();
        rig.settle();
        drop(raw);
        rig.settle();
        assert_eq!(fake.gone.get(), 1);
        assert_eq!(rig.geom.counters().geoms, 0);
    }
}

#[test]
fn s21_a_disk_lost_under_an_exclusive_holder() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let editor = rig.open(
        "xbd0",
        Access {
            read: true,
            write: false,
            exclusive: true,
        },
    );
    editor.set_access(Access::EXCLUSIVE).unwrap();
    rig.settle();
    handle.gone();
    rig.settle();
    assert_eq!(
        rig.block(editor.write(0, vec![0; 512])),
        Err(Errno::NoDevice)
    );
    assert_eq!(
        editor.set_access(Access::READ).map_err(|e| e.errno),
        Ok(()),
        "less is possible"
    );
    assert_eq!(
        editor.set_access(Access::EXCLUSIVE).map_err(|e| e.errno),
        Err(Errno::NoDevice),
        "more is not"
    );
    drop(editor);
    rig.settle();
    assert_eq!(fake.gone.get(), 1);
    drop(handle);
    rig.assert_empty();
}

#[test]
fn s22_four_layers_closed_in_every_order() {
    let names = ["xbd0", "xbd0h1", "xbd0h1h1", "xbd0h1h1h1"];
    for order in permutations(4) {
        let rig = Rig::new();
        let (fake, handle) = rig.settled_disk(0, stack());
        assert_eq!(rig.names(), names);
        let mut devices: Vec<_> = names
            .iter()
            .map(|name| Some(rig.open(name, Access::READ)))
            .collect();
        handle.gone();
        rig.settle();
        for device in devices.iter().flatten() {
            assert_eq!(rig.block(device.read(0, 512)), Err(Errno::NoDevice));
        }
        for (closed, index) in order.iter().enumerate() {
            assert_eq!(fake.gone.get(), 0, "{closed} of 4 closed");
            devices[*index] = None;
            rig.settle();
        }
        assert_eq!(fake.gone.get(), 1);
        drop(handle);
        rig.assert_empty();
    }
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in permutations(count - 1) {
        for at in 0..count {
            let mut longer = shorter.clone();
            longer.insert(at, count - 1);
            all.push(longer);
        }
    }
    all
}

#[test]
fn s24_withering_costs_the_same_beside_a_thousand_others() {
    let lose_one = |others: u32| {
        let rig = Rig::new();
        let handles: Vec<_> = (0..others).map(|unit| rig_disk(&rig, unit)).collect();
        rig.geom.poll(rig.now.get());
        let (fake, handle) = rig_disk(&rig, others);
        rig.geom.poll(rig.now.get());
        handle.gone();
        let mut steps = 0;
        let begin = Instant::now();
        while rig.geom.step(rig.now.get()) {
            steps += 1;
        }
        let time = begin.elapsed();
        assert_eq!(fake.gone.get(), 1);
        drop(handles);
        (steps, time)
    };
    let (alone, _) = lose_one(0);
    let (among, _) = lose_one(1000);
    assert_eq!(alone, among, "steps of work");
}

fn rig_disk(rig: &Rig, unit: u32) -> (Rc<Fake>, geom::disk::DiskHandle) {
    let media = with_head(16, &[(1, 8)]);
    let fake = Fake::new(media);
    let params = params(unit, fake.media.borrow().len() as u64);
    let handle = rig
        .geom
        .disk_create(params, fake.driver())
        .expect("a sound disk");
    (fake, handle)
}

#[test]
fn s42_gone_under_a_holder_waits_for_the_last_close() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let device = rig.open("xbd0h1", Access::READ_WRITE);
    rig.settle();
    handle.gone();
    rig.settle();
    assert_eq!(handle.state(), Some(DiskState::Draining));
    assert!(fake.is_open());
    drop(device);
    assert!(
        !fake.is_open(),
        "the driver's close comes with the last close"
    );
    rig.settle();
    assert_eq!(handle.state(), Some(DiskState::Gone));
}

#[test]
fn s43_gone_with_requests_that_the_driver_fails_later() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let device = rig.open("xbd0h1", Access::READ);
    fake.hold.set(true);
    let mut read = Box::pin(device.read(0, 512));
    handle.gone();
    drop(device);
    rig.settle();
    assert_eq!((fake.gone.get(), fake.held()), (0, 1));
    assert_eq!(poll_once(read.as_mut()), None);
    fake.fail_all(Errno::NoDevice);
    rig.settle();
    assert_eq!(poll_once(read.as_mut()), Some(Err(Errno::NoDevice)));
    assert_eq!(fake.gone.get(), 1);
}

#[test]
fn s46_a_thousand_attaches_of_one_unit_leave_nothing() {
    let rig = Rig::new();
    let baseline = rig.geom.counters();
    for round in 0..1000_u32 {
        let (fake, handle) = rig.disk(0, with_head(16, &[(1, 8)]));
        fake.hold.set(round % 2 == 0);
        for _ in 0..round % 23 {
            rig.geom.step(rig.now.get());
        }
        let device = rig.geom.open("xbd0h1", Access::READ).ok();
        let read = device.as_ref().map(|device| device.read(0, 512));
        handle.gone();
        rig.geom.poll(rig.now.get());
        drop((device, read));
        fake.hold.set(false);
        fake.fail_all(Errno::NoDevice);
        rig.settle();
        assert_eq!(fake.gone.get(), 1);
    }
    let counters = rig.geom.counters();
    assert_eq!(counters.disks_created, counters.disks_gone);
    assert_eq!(counters.providers, baseline.providers);
    rig.assert_empty();
}
