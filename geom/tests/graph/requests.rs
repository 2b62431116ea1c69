//! Scenarios 26 to 34: requests in flight.

use std::pin::pin;

use geom::disk::Command;
use geom::{Access, Buffer, Errno};

use crate::rig::{Rig, pattern, poll_once, with_head};

#[test]
fn s26_requests_in_flight_when_the_disk_is_lost() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    fake.hold.set(true);
    let reads: Vec<_> = (0..8).map(|n| device.read(n * 512, 512)).collect();
    handle.gone();
    assert_eq!(
        rig.block(device.read(0, 512)),
        Err(Errno::NoDevice),
        "new ones fail at once"
    );
    assert_eq!(fake.held(), 8);
    rig.settle();
    for n in 0..8 {
        assert_eq!(fake.gone.get(), 0);
        match fake.take() {
            Some(bio) if n % 2 == 0 => bio.complete(Err(Errno::Io)),
            Some(bio) => bio.complete(Ok(())),
            None => panic!("a request is lost"),
        }
        rig.settle();
    }
    let ended = reads.into_iter().map(|read| rig.block(read).is_ok());
    assert_eq!(ended.collect::<Vec<_>>(), [false, true].repeat(4));
    drop(device);
    rig.settle();
    assert_eq!(fake.gone.get(), 1);
}

#[test]
fn s27_close_waits_for_active_requests() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::EXCLUSIVE);
    fake.hold.set(true);
    let write = device.write(0, vec![1; 512]);
    drop(device);
    rig.settle();
    assert!(!rig.geom.provider("xbd0").unwrap().counts.is_closed());
    assert_eq!(
        rig.try_open("xbd0", Access::READ_WRITE).err(),
        Some(Errno::NotPermitted)
    );
    fake.hold.set(false);
    fake.finish_all();
    rig.settle();
    assert_eq!(rig.block(write), Ok(()));
    assert!(rig.geom.provider("xbd0").unwrap().counts.is_closed());
    assert!(!fake.is_open());
}

#[test]
fn s27b_a_future_dropped_in_flight_is_safe() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    fake.hold.set(true);
    drop(device.read(0, 2048));
    drop(device);
    rig.settle();
    assert_eq!(fake.held(), 1);
    fake.finish_all();
    drop(handle);
    rig.settle();
    rig.assert_empty();
}

#[test]
fn s29_a_driver_cannot_complete_after_gone() {
    // By ownership: while a bio lives, gone is withheld. A dropped bio is a counted bug.
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    fake.hold.set(true);
    let read = device.read(0, 512);
    handle.gone();
    drop((device, handle));
    rig.settle();
    assert_eq!(fake.gone.get(), 0);
    drop(fake.take());
    rig.geom.poll(rig.now.get());
    assert_eq!(rig.geom.check(), Err("L7: a driver dropped a bio: ".into()));
    assert_eq!(rig.geom.counters().dropped_bios, 1);
    assert_eq!(
        poll_once(pin!(read)),
        Some(Err(Errno::Io)),
        "it ended all the same"
    );
    assert_eq!(fake.gone.get(), 1);
}

#[test]
fn s30_a_split_request_ends_once_after_all_its_parts() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    fake.log.borrow_mut().clear();
    // Completed inside strategy, before the next part is made.
    assert_eq!(
        rig.block(device.read(512, 10 * 1024)).unwrap(),
        pattern(64)[512..512 + 10 * 1024]
    );
    let parts = [
        (Command::Read, 512, 4096),
        (Command::Read, 4608, 4096),
        (Command::Read, 8704, 2048),
    ];
    assert_eq!(*fake.log.borrow(), parts);
    fake.hold.set(true);
    let mut read = pin!(device.read(0, 12 * 1024));
    // In every order of completion.
    for left in [2, 1, 0] {
        assert_eq!(poll_once(read.as_mut()), None);
        fake.finish(left);
        rig.settle();
    }
    assert_eq!(poll_once(read.as_mut()).unwrap().unwrap(), pattern(24));
}

#[test]
fn s30b_a_piece_that_its_driver_cuts_ends_once_after_all_its_parts() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    fake.hold.set(true);
    for order in [[0, 0, 0], [2, 1, 0], [1, 1, 0]] {
        let mut read = pin!(device.read(512, 4096));
        let mut rest = fake.take().unwrap();
        for nothing in [0, 4096, 8192] {
            assert!(rest.cut(nothing).is_none(), "{nothing} of 4096");
        }
        let first = rest.cut(1024).unwrap();
        let second = rest.cut(512).unwrap();
        let ranges = [&first, &second, &rest].map(|bio| (bio.offset, bio.length, bio.data.len()));
        assert_eq!(
            ranges,
            [(512, 1024, 1024), (1536, 512, 512), (2048, 2560, 2560)]
        );
        fake.held.borrow_mut().extend([first, second, rest]);
        for index in order {
            assert_eq!(poll_once(read.as_mut()), None);
            fake.finish(index);
            rig.settle();
        }
        let bytes = poll_once(read.as_mut()).unwrap().unwrap();
        assert_eq!(bytes, pattern(64)[512..512 + 4096]);
    }
}

#[test]
fn s31b_the_first_error_of_what_a_driver_cut_is_the_requests_and_a_dropped_part_is_noticed() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    fake.hold.set(true);
    let parts = || {
        let mut rest = fake.take().unwrap();
        let first = rest.cut(512).unwrap();
        (first, rest.cut(512).unwrap(), rest)
    };
    let mut read = pin!(device.read(0, 4096));
    let (first, second, rest) = parts();
    second.complete(Err(Errno::NoDevice));
    first.complete(Ok(()));
    rig.settle();
    assert_eq!(poll_once(read.as_mut()), None, "a part is still out");
    rest.complete(Err(Errno::Io));
    rig.settle();
    assert_eq!(poll_once(read.as_mut()), Some(Err(Errno::NoDevice)));

    let mut read = pin!(device.read(0, 4096));
    let (first, second, rest) = parts();
    drop(second);
    first.complete(Ok(()));
    rest.complete(Ok(()));
    rig.geom.poll(rig.now.get());
    assert_eq!(poll_once(read.as_mut()), Some(Err(Errno::Io)));
    assert_eq!(rig.geom.counters().dropped_bios, 1);
}

#[test]
fn s31_the_first_error_of_any_part_is_the_requests() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    fake.hold.set(true);
    let mut read = pin!(device.read(0, 16 * 1024));
    assert_eq!(fake.held(), 4);
    fake.finish(0);
    let (second, third) = (fake.take().unwrap(), fake.take().unwrap());
    third.complete(Err(Errno::NotSupported));
    rig.settle();
    second.complete(Err(Errno::Io));
    rig.settle();
    assert_eq!(poll_once(read.as_mut()), None, "one part is still out");
    fake.finish(0);
    rig.settle();
    assert_eq!(poll_once(read.as_mut()), Some(Err(Errno::NotSupported)));
}

#[test]
fn s32_completing_needs_no_memory_of_its_own() {
    // That no allocation happens is shown in `allocation`; here, that a thousand requests
    // that all end inside one call of the driver end once each.
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    fake.hold.set(true);
    let reads: Vec<_> = (0..1000).map(|n| device.read(n % 60 * 512, 512)).collect();
    fake.finish_all();
    rig.settle();
    for (n, read) in reads.into_iter().enumerate() {
        let at = n % 60 * 512;
        assert_eq!(rig.block(read).unwrap(), pattern(64)[at..at + 512]);
    }
}

#[test]
fn s33_an_ordered_request_divides_the_stream() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    fake.hold.set(true);
    let before = [
        device.write(0, vec![1; 512]),
        device.write(512, vec![1; 512]),
    ];
    let ordered = device.write_ordered(1024, vec![2; 8192]);
    let after = device.write(0, vec![3; 512]);
    let flush = device.flush();
    let last = device.read(0, 512);
    let held = || {
        fake.held
            .borrow()
            .iter()
            .map(|bio| (bio.command, bio.offset))
            .collect::<Vec<_>>()
    };
    assert_eq!(held(), [(Command::Write, 0), (Command::Write, 512)]);
    fake.finish(1);
    rig.settle();
    assert_eq!(fake.held(), 1, "one of those before it is out");
    fake.finish(0);
    rig.settle();
    assert_eq!(
        held(),
        [(Command::Write, 1024), (Command::Write, 1024 + 4096)],
        "split, and alone"
    );
    assert!(fake.held.borrow().iter().all(|bio| bio.ordered));
    fake.finish(1);
    rig.settle();
    assert_eq!(fake.held(), 1);
    fake.finish(0);
    rig.settle();
    assert_eq!(held(), [(Command::Write, 0)]);
    fake.finish(0);
    rig.settle();
    assert_eq!(held(), [(Command::Flush, 0)]);
    fake.finish(0);
    rig.settle();
    assert_eq!(held(), [(Command::Read, 0)]);
    fake.finish(0);
    let ended = [ordered, after, flush].map(|io| rig.block(io));
    assert_eq!(ended, [Ok(()); 3]);
    assert_eq!(before.map(|io| rig.block(io)), [Ok(()); 2]);
    assert_eq!(rig.block(last).unwrap(), vec![3; 512]);
}

#[test]
fn s33b_a_failed_or_lost_ordered_request_lets_the_others_through() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    fake.hold.set(true);
    let ordered = device.write_ordered(0, vec![2; 8192]);
    let after = device.read(0, 512);
    fake.fail_all(Errno::Io);
    rig.settle();
    assert_eq!(rig.block(ordered), Err(Errno::Io));
    fake.finish_all();
    assert!(rig.block(after).is_ok());
    let out = device.read(0, 512);
    let waiting = [
        device.flush(),
        device.write_ordered(0, vec![2; 512]),
        device.flush(),
    ];
    handle.gone();
    rig.settle();
    assert_eq!(
        waiting.map(|io| rig.block(io)),
        [Err(Errno::NoDevice); 3],
        "never sent"
    );
    fake.finish_all();
    assert!(rig.block(out).is_ok());
}

#[test]
fn s34_a_request_across_the_end_is_refused_as_a_whole() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let before = fake.strategies.get();
    for (name, size) in [("xbd0", 64 * 512), ("xbd0h1", 8 * 512)] {
        let device = rig.open(name, Access::READ);
        assert_eq!(rig.block(device.read(size, 512)), Err(Errno::BeyondEnd));
        assert_eq!(
            rig.block(device.read(size - 512, 1024)),
            Err(Errno::BeyondEnd)
        );
        let last = u64::MAX - 511;
        assert_eq!(rig.block(device.read(last, 512)), Err(Errno::BeyondEnd));
        assert_eq!(rig.block(device.read(last, 1024)), Err(Errno::BeyondEnd));
        assert_eq!(rig.block(device.read(1, 512)), Err(Errno::Invalid));
        assert_eq!(rig.block(device.read(0, 511)), Err(Errno::Invalid));
        assert_eq!(rig.block(device.read(0, 0)), Ok(Vec::new()));
        assert_eq!(rig.block(device.read(size, 0)), Ok(Vec::new()));
    }
    assert_eq!(fake.strategies.get(), before);
}

#[test]
fn a_partitions_bytes_are_the_disks_shifted_by_one_remap() {
    let rig = Rig::new();
    let mut media = with_head(64, &[(3, 40)]);
    crate::rig::write_head(&mut media, 3, &[(5, 20)]);
    let (fake, _handle) = rig.settled_disk(0, media);
    assert_eq!(rig.geom.provider("xbd0h1h1").unwrap().offset, 8 * 512);
    let device = rig.open("xbd0h1h1", Access::READ_WRITE);
    assert_eq!(
        rig.block(device.read(512, 1024)).unwrap(),
        pattern(64)[9 * 512..11 * 512]
    );
    rig.block(device.write(1024, vec![9; 512])).unwrap();
    assert_eq!(fake.media.borrow()[10 * 512..11 * 512], [9; 512]);
    rig.block(device.delete(1024, 512)).unwrap();
    assert_eq!(fake.media.borrow()[10 * 512..11 * 512], [0; 512]);
}

#[test]
fn a_request_uses_the_makers_memory() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    fake.hold.set(true);
    let whole = Buffer::zeroed(16 * 1024);
    let part = whole.part(512..512 + 8192).unwrap();
    let io = device.read_into(4096, part);
    {
        let held = fake.held.borrow();
        let starts: Vec<_> = held.iter().map(|bio| bio.data.memory().1).collect();
        assert_eq!(starts, [512, 512 + 4096], "no copy in between");
    }
    fake.finish_all();
    assert_eq!(rig.block(io), Ok(()));
    assert_eq!(
        whole.to_vec()[512..512 + 8192],
        pattern(64)[4096..4096 + 8192]
    );
    assert_eq!(whole.to_vec()[..512], [0; 512]);
}

#[test]
fn what_the_disk_cannot_do_is_refused() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    fake.hold.set(true);
    let out = device.read(0, 512);
    let waiting = device.flush();
    let mut limits = device.limits().unwrap();
    (limits.can_flush, limits.can_delete) = (false, false);
    let generation = device.generation();
    handle.set_limits(limits).unwrap();
    assert!(device.generation() > generation);
    assert_eq!(rig.block(device.flush()), Err(Errno::NotSupported));
    assert_eq!(rig.block(device.delete(0, 512)), Err(Errno::NotSupported));
    fake.finish_all();
    assert_eq!(
        rig.block(waiting),
        Err(Errno::NotSupported),
        "withdrawn while it waited"
    );
    assert!(rig.block(out).is_ok());
}
