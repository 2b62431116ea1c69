//! A holder with many requests at a time, who also wants to know when its provider changes.

use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use geom::disk::{Command, DiskError};
use geom::{Access, Buffer, Completions, Device, Errno, Order};

use crate::rig::{Rig, SECTOR, params, pattern, with_head};
use crate::wakes::Bell;

fn read(offset: u64, data: &Buffer) -> Order {
    Order {
        command: Command::Read,
        offset,
        length: data.len() as u64,
        data: data.clone(),
        ordered: false,
    }
}

fn is_changed(device: &Device) -> bool {
    device
        .poll_changed(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn requests_of_several_devices_end_in_one_place_under_their_tags() {
    let rig = Rig::new();
    let media = with_head(64, &[(1, 20)]);
    let (fake, _handle) = rig.settled_disk(0, media.clone());
    let whole = rig.open("xbd0", Access::READ);
    let part = rig.open("xbd0h1", Access::READ);
    rig.settle();
    fake.hold.set(true);
    let completions = Completions::with_capacity(2);
    let (bell, waker) = Bell::new();
    completions.set_waker(&waker);
    let buffers = [(); 3].map(|()| Buffer::zeroed(1024));
    whole.submit(read(0, &buffers[0]), 7, &completions);
    part.submit(read(SECTOR, &buffers[1]), 8, &completions);
    whole.submit(read(2 * SECTOR, &buffers[2]), u64::MAX, &completions);
    assert_eq!((completions.outstanding(), completions.pop()), (3, None));
    fake.finish(1);
    fake.finish(1);
    assert_eq!(completions.pop(), None, "noted, not worked on");
    assert_eq!(bell.count(), 0, "not inside the driver's call");
    rig.settle();
    assert_eq!(bell.count(), 1, "once for both");
    assert_eq!(completions.pop(), Some((8, Ok(()))));
    fake.finish_all();
    rig.settle();
    assert_eq!(bell.count(), 0, "it was not empty");
    assert_eq!(completions.pop(), Some((u64::MAX, Ok(()))));
    assert_eq!(completions.pop(), Some((7, Ok(()))));
    assert_eq!((completions.outstanding(), completions.pop()), (0, None));
    for (buffer, sector) in buffers.iter().zip([0, 2, 2]) {
        assert_eq!(buffer.to_vec(), media[sector * 512..][..1024]);
    }
}

#[test]
fn what_the_driver_completes_at_once_has_ended_at_once() {
    let rig = Rig::new();
    let media = with_head(64, &[(1, 20)]);
    let (fake, _handle) = rig.settled_disk(0, media.clone());
    let device = rig.open("xbd0h1", Access::READ);
    rig.settle();
    let polls = Bell::new();
    rig.geom.set_waker(&polls.1);
    let completions = Completions::with_capacity(2);
    let data = Buffer::zeroed(8192);
    device.submit(read(0, &data), 1, &completions);
    assert_eq!(completions.pop(), Some((1, Ok(()))));
    assert_eq!(data.to_vec(), media[512..][..8192]);
    fake.hold.set(true);
    device.submit(read(0, &Buffer::zeroed(8192)), 2, &completions);
    assert_eq!(polls.0.count(), 0, "nothing is left for a poll");
    fake.finish_all();
    assert_eq!(polls.0.count(), 1, "once for both pieces");
    assert_eq!(completions.pop(), None);
    rig.geom.poll(rig.now.get());
    assert_eq!(completions.pop(), Some((2, Ok(()))));
    assert_eq!(polls.0.count(), 0);
}

#[test]
fn a_submission_inside_a_drivers_call_is_sent_when_that_returns() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = Rc::new(rig.open("xbd0", Access::READ));
    rig.settle();
    let completions = Completions::with_capacity(2);
    let hook = {
        let (device, completions) = (device.clone(), completions.clone());
        move || device.submit(read(SECTOR, &Buffer::zeroed(512)), 2, &completions)
    };
    *fake.on_strategy.borrow_mut() = Some(Box::new(hook));
    device.submit(read(0, &Buffer::zeroed(512)), 1, &completions);
    assert_eq!(completions.pop(), Some((1, Ok(()))));
    assert_eq!(completions.pop(), Some((2, Ok(()))));
    rig.check();
}

#[test]
fn a_submission_whose_data_does_not_fit_its_length_is_refused() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ_WRITE);
    let completions = Completions::with_capacity(4);
    let data = Buffer::zeroed(1024);
    let commands = [
        Command::Read,
        Command::Write,
        Command::Delete,
        Command::Erase,
    ];
    for command in commands {
        let order = Order {
            command,
            length: 512,
            ..read(0, &data)
        };
        device.submit(order, 9, &completions);
        assert_eq!(
            completions.pop(),
            Some((9, Err(Errno::Invalid))),
            "{command:?}"
        );
    }
}

#[test]
fn what_is_refused_has_ended_at_once() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    let completions = Completions::with_capacity(4);
    let (bell, waker) = Bell::new();
    completions.set_waker(&waker);
    let sector = Buffer::zeroed(512);
    device.submit(read(1, &sector), 1, &completions);
    device.submit(read(64 * SECTOR, &sector), 2, &completions);
    let write = Order {
        command: Command::Write,
        ..read(0, &sector)
    };
    device.submit(write, 3, &completions);
    device.submit(read(0, &Buffer::zeroed(0)), 4, &completions);
    assert_eq!(bell.count(), 1);
    let ended: Vec<_> = std::iter::from_fn(|| completions.pop()).collect();
    let refused = [Errno::Invalid, Errno::BeyondEnd, Errno::NotPermitted];
    assert_eq!(
        ended,
        [
            (1, Err(refused[0])),
            (2, Err(refused[1])),
            (3, Err(refused[2])),
            (4, Ok(()))
        ]
    );
    let (late, waker) = Bell::new();
    completions.set_waker(&waker);
    assert_eq!(late.count(), 0, "nothing to pop");
    device.submit(read(1, &sector), 5, &completions);
    let (later, waker) = Bell::new();
    completions.set_waker(&waker);
    assert_eq!((bell.count(), late.count(), later.count()), (0, 1, 1));
}

#[test]
fn s26b_submitted_requests_end_when_the_disk_is_lost_or_the_device_dropped() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    fake.hold.set(true);
    let completions = Completions::with_capacity(8);
    let sector = Buffer::zeroed(512);
    let flush = Order {
        command: Command::Flush,
        length: 0,
        ordered: true,
        ..read(0, &Buffer::zeroed(0))
    };
    device.submit(read(0, &sector), 1, &completions);
    device.submit(flush, 2, &completions);
    device.submit(read(0, &sector), 3, &completions);
    drop(device);
    handle.gone();
    rig.settle();
    assert_eq!(completions.pop(), Some((2, Err(Errno::NoDevice))));
    assert_eq!(completions.pop(), Some((3, Err(Errno::NoDevice))));
    assert_eq!((completions.outstanding(), fake.gone.get()), (1, 0));
    fake.finish_all();
    rig.settle();
    assert_eq!(completions.pop(), Some((1, Ok(()))));
    assert_eq!((completions.outstanding(), fake.gone.get()), (0, 1));
}

#[test]
fn a_holder_is_woken_when_its_provider_changes() {
    let rig = Rig::new();
    let (_fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 20)]));
    let devices = ["xbd0", "xbd0h1"].map(|name| rig.open(name, Access::READ));
    let bells = devices.each_ref().map(|_| Bell::new());
    let wait = |index: usize| {
        let waiting: &Device = &devices[index];
        waiting.poll_changed(&mut Context::from_waker(&bells[index].1))
    };
    let rang = || bells.each_ref().map(|(bell, _)| bell.count());
    assert_eq!([wait(0), wait(1)], [Poll::Pending; 2]);
    let mut limits = devices[0].limits().unwrap();
    limits.can_delete = false;
    let spent = measure(|| {
        handle.set_limits(limits).unwrap();
        handle.attr_changed().unwrap();
        rig.geom.poll(rig.now.get());
    });
    assert_eq!(spent.count_total, 0);
    assert_eq!(rang(), [1, 1], "once each");
    assert_eq!([wait(0), wait(1)], [Poll::Ready(()); 2]);
    assert_eq!([wait(0), wait(1)], [Poll::Pending; 2]);
    handle.resize(128 * SECTOR).unwrap();
    rig.settle();
    assert_eq!(rang(), [1, 0], "the partition is as it was");
    assert_eq!(
        (wait(0), devices[0].media_size()),
        (Poll::Ready(()), 128 * SECTOR)
    );
    assert_eq!(wait(0), Poll::Pending);
    handle.resize(16 * SECTOR).unwrap();
    rig.settle();
    assert_eq!(rang(), [1, 1], "the partition does not fit any more");
    assert_eq!(devices[1].error(), Some(Errno::NoDevice));
    assert_eq!(
        [wait(1), wait(1)],
        [Poll::Ready(()); 2],
        "always of a lost one"
    );
    assert_eq!(
        [wait(0), wait(0), wait(1)],
        [Poll::Ready(()), Poll::Pending, Poll::Ready(())]
    );
    let spent = measure(|| {
        handle.gone();
        rig.geom.poll(rig.now.get());
    });
    assert_eq!(spent.count_total, 0);
    assert_eq!(rang()[0], 1, "lost");
    assert!(is_changed(&devices[0]));
}

#[test]
fn a_change_before_the_wait_is_seen_and_a_dropped_device_is_not_woken() {
    let rig = Rig::new();
    let (_fake, handle) = rig.settled_disk(0, pattern(64));
    handle.attr_changed().unwrap();
    let device = rig.open("xbd0", Access::READ);
    assert!(!is_changed(&device), "that was before the open");
    handle.attr_changed().unwrap();
    rig.block(device.changed());
    let (bell, waker) = Bell::new();
    assert!(
        device
            .poll_changed(&mut Context::from_waker(&waker))
            .is_pending()
    );
    handle.attr_changed().unwrap();
    drop(device);
    rig.settle();
    drop(handle);
    rig.settle();
    assert!(bell.count() <= 1);
    rig.assert_empty();
}

#[test]
fn erasing_is_asked_of_a_disk_that_can_and_refused_by_others() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 20)]));
    let device = rig.open("xbd0h1", Access::READ_WRITE);
    rig.settle();
    fake.log.borrow_mut().clear();
    assert_eq!(rig.block(device.erase(SECTOR, SECTOR)), Ok(()));
    assert_eq!(*fake.log.borrow(), [(Command::Erase, 2 * SECTOR, SECTOR)]);
    let mut limits = device.limits().unwrap();
    limits.can_erase = false;
    handle.set_limits(limits).unwrap();
    let refused = rig.block(device.erase(SECTOR, SECTOR));
    assert_eq!(refused, Err(Errno::NotSupported));
    limits.delete_granularity = 700;
    assert_eq!(
        handle.set_limits(limits),
        Err(DiskError::DeleteGranularity(700))
    );
}

#[test]
fn a_delete_is_as_long_as_its_own_limit_allows() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    let mut limits = device.limits().unwrap();
    assert_eq!(limits.max_io, 8 * SECTOR);
    for (max_delete, pieces) in [(0, 5), (4 * SECTOR, 10), (32 * SECTOR, 2), (u64::MAX, 1)] {
        limits.max_delete = max_delete;
        handle.set_limits(limits).unwrap();
        fake.log.borrow_mut().clear();
        assert_eq!(rig.block(device.delete(SECTOR, 40 * SECTOR)), Ok(()));
        assert_eq!(fake.log.borrow().len(), pieces);
        fake.log.borrow_mut().clear();
        assert_eq!(rig.block(device.erase(SECTOR, 40 * SECTOR)), Ok(()));
        assert_eq!(fake.log.borrow().len(), pieces);
    }
    limits.max_delete = 4 * SECTOR;
    handle.set_limits(limits).unwrap();
    fake.log.borrow_mut().clear();
    assert_eq!(rig.block(device.delete(0, 8 * SECTOR)), Ok(()));
    assert_eq!(fake.log.borrow().len(), 2, "it would fit `max_io`");
    fake.log.borrow_mut().clear();
    assert!(rig.block(device.read(0, 16 * 512)).is_ok());
    assert_eq!(
        fake.log.borrow().len(),
        2,
        "what moves data is cut as before"
    );
    limits.max_delete = 511;
    assert_eq!(handle.set_limits(limits), Err(DiskError::MaxIo(511)));
}

#[test]
fn a_granularity_that_is_not_whole_sectors_is_no_disk() {
    let rig = Rig::new();
    let mut params = params(0, 64 * SECTOR);
    params.limits.delete_granularity = 256;
    let fake = crate::fake::Fake::new(pattern(64));
    let refused = rig.geom.disk_create(params, fake.driver()).err();
    assert_eq!(refused, Some(DiskError::DeleteGranularity(256)));
    assert_eq!(Rc::strong_count(&fake), 1);
}
