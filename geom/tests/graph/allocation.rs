//! Law L13 and scenarios 10 and 32: what leaving needs was reserved on arrival.

use allocation_counter::measure;
use geom::disk::Command;
use geom::{Access, Buffer, Completions, Errno, Order};

use crate::rig::{Rig, with_head, write_head};

/// How many allocations `work` makes.
fn allocations(work: impl FnOnce()) -> u64 {
    measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1]))), 1);
}

#[test]
fn s10_a_disk_leaves_without_memory() {
    let rig = Rig::new();
    let mut media = with_head(64, &[(1, 20), (21, 10)]);
    write_head(&mut media, 1, &[(2, 8)]);
    let (fake, handle) = rig.settled_disk(0, media);
    // Everything that can stand in the way: holders at each level, requests with the driver and
    // behind it, a taste that waits for its read, a raw writer's spoil event not yet served.
    let devices = ["xbd0", "xbd0h1", "xbd0h1h1"].map(|name| rig.open(name, Access::READ));
    let writer = rig.open("xbd0h2", Access::READ_WRITE);
    rig.settle();
    fake.hold.set(true);
    handle.media_changed().unwrap();
    rig.settle();
    let ios = devices.each_ref().map(|device| device.read(0, 1024));
    let queued = [
        writer.flush(),
        writer.write_ordered(0, vec![0; 8192]),
        writer.flush(),
    ];
    assert!(fake.held() > 0);
    handle.media_changed().unwrap();
    let spent = allocations(|| {
        handle.gone();
        rig.geom.poll(rig.now.get());
        fake.fail_all(Errno::NoDevice);
        rig.geom.poll(rig.now.get());
        drop((devices, writer));
        rig.geom.poll(rig.now.get());
        handle.destroy().unwrap();
    });
    assert_eq!(fake.gone.get(), 1);
    assert_eq!(spent, 0);
    drop((ios, queued));
    rig.assert_empty();
}

#[test]
fn s10b_a_disk_leaves_in_every_early_state_without_memory() {
    for steps in 0..12 {
        let rig = Rig::new();
        let (fake, handle) = rig.disk(0, with_head(64, &[(1, 8)]));
        fake.hold.set(steps % 2 == 0);
        for _ in 0..steps {
            rig.step();
        }
        let spent = allocations(|| {
            handle.gone();
            rig.geom.poll(rig.now.get());
            fake.fail_all(Errno::Io);
            rig.geom.poll(rig.now.get());
            handle.destroy().unwrap();
        });
        assert_eq!((fake.gone.get(), spent), (1, 0), "after {steps} steps");
    }
}

#[test]
fn s32_completing_and_closing_allocate_nothing() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 20)]));
    let device = rig.open("xbd0h1", Access::READ);
    fake.hold.set(true);
    let ios: Vec<_> = (0..100).map(|n| device.read(n % 20 * 512, 512)).collect();
    let spent = allocations(|| {
        drop(device);
        while let Some(bio) = fake.take() {
            bio.complete(Ok(()));
        }
        rig.geom.poll(rig.now.get());
    });
    assert_eq!(spent, 0);
    assert!(rig.geom.provider("xbd0h1").unwrap().counts.is_closed());
    drop(ios);
}

#[test]
fn a_request_allocates_nothing_once_there_were_as_many_before() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 20)]));
    let device = rig.open("xbd0h1", Access::READ_WRITE);
    rig.settle();
    fake.mute.set(true);
    let completions = Completions::with_capacity(32);
    let data = Buffer::zeroed(8192);
    let nothing = Buffer::zeroed(0);
    // One that goes straight to the driver, one that is cut, and two that divide the stream.
    let order = |tag: u64| {
        let (command, length, ordered) = match tag % 4 {
            0 => (Command::Read, 4096, false),
            1 => (Command::Write, 8192, false),
            2 => (Command::Write, 4096, true),
            _ => (Command::Flush, 0, true),
        };
        let data = data.part(0..length).unwrap();
        let carries = command != Command::Flush;
        Order {
            command,
            offset: 0,
            length: length as u64,
            data: if carries { data } else { nothing.clone() },
            ordered,
        }
    };
    for hold in [false, true] {
        let round = || {
            fake.hold.set(hold);
            (0..32).for_each(|tag| device.submit(order(tag), tag, &completions));
            while completions.outstanding() > 0 {
                while let Some(bio) = fake.take() {
                    bio.complete(Ok(()));
                }
                rig.geom.poll(rig.now.get());
            }
            (0..32).for_each(|_| assert!(matches!(completions.pop(), Some((_, Ok(()))))));
        };
        round();
        assert_eq!(allocations(round), 0, "with requests held: {hold}");
    }
}
