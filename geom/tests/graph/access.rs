//! Scenarios 18 to 20 and 25, and the rules of access counts.

use geom::{Access, Counts, Errno};

use crate::rig::{Rig, with_head};

const WRITE: Access = Access {
    read: false,
    write: true,
    exclusive: false,
};
const HOLD: Access = Access {
    read: true,
    write: false,
    exclusive: true,
};

#[test]
fn s18_a_writer_opens_the_raw_disk_while_it_is_tasted() {
    let rig = Rig::new();
    let (fake, _handle) = rig.disk(0, with_head(64, &[(1, 8)]));
    fake.hold.set(true);
    rig.settle();
    assert_eq!(fake.held(), 1);
    let writer = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    fake.hold.set(false);
    fake.finish_all();
    rig.settle();
    assert_eq!(rig.live_names(), ["xbd0"], "the taste gives up");
    drop(writer);
    rig.settle();
    assert_eq!(
        rig.live_names(),
        ["xbd0", "xbd0h1"],
        "and is repeated at the last write close"
    );
}

#[test]
fn s18b_a_disk_that_is_written_when_its_taste_begins_is_tasted_later() {
    let rig = Rig::new();
    let (fake, _handle) = rig.disk(0, with_head(64, &[(1, 8)]));
    rig.step();
    let writer = rig.open("xbd0", WRITE);
    rig.settle();
    assert_eq!(fake.strategies.get(), 0);
    assert!(rig.geom.is_settled());
    drop(writer);
    rig.settle();
    assert_eq!(rig.live_names(), ["xbd0", "xbd0h1"]);
}

#[test]
fn s19_an_open_partition_keeps_writers_off_the_raw_disk() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 8), (9, 8)]));
    let partition = rig
        .geom
        .open_as("xbd0h1", Access::READ_WRITE, "shell")
        .unwrap();
    let refusal = rig.geom.open("xbd0", Access::READ_WRITE).err().unwrap();
    assert_eq!(refusal.errno, Errno::NotPermitted);
    assert_eq!(
        refusal.to_string(),
        "xbd0: EPERM, held by HEAD xbd0 (xbd0h1 held by shell)"
    );
    assert_eq!(
        rig.geom.provider("xbd0").unwrap().counts,
        Counts {
            read: 1,
            write: 1,
            exclusive: 1
        }
    );
    let other = rig.open("xbd0h2", Access::READ_WRITE);
    let reader = rig.open("xbd0", Access::READ);
    drop((partition, other, reader));
    rig.settle();
    rig.open("xbd0", Access::READ_WRITE);
}

#[test]
fn s19b_a_raw_writer_keeps_writers_off_the_partition() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let raw = rig.geom.open_as("xbd0", WRITE, "dd").unwrap();
    let refusal = rig.geom.open("xbd0h1", Access::READ_WRITE).err().unwrap();
    // The slicer is spoiled already, though its providers are not lost yet.
    assert_eq!(refusal.errno, Errno::NoDevice);
    drop(raw);
    rig.settle();
    let hold = rig.geom.open_as("xbd0", HOLD, "backup").unwrap();
    let refusal = rig.geom.open("xbd0h1", Access::READ_WRITE).err().unwrap();
    assert_eq!(refusal.to_string(), "xbd0: EPERM, held by backup");
    assert_eq!(
        rig.block(rig.open("xbd0h1", Access::READ).read(0, 512))
            .map(|b| b.len()),
        Ok(512)
    );
    drop(hold);
}

#[test]
fn s19c_a_holder_never_conflicts_with_itself() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let device = rig.open("xbd0h1", Access::READ);
    device.set_access(Access::EXCLUSIVE).unwrap();
    rig.check();
    device.set_access(Access::READ_WRITE).unwrap();
    rig.check();
    let second = rig.open("xbd0h1", Access::READ_WRITE);
    let refusal = device.set_access(Access::EXCLUSIVE).err().unwrap();
    assert_eq!(refusal.errno, Errno::NotPermitted);
    rig.check();
    let counts = rig.geom.provider("xbd0h1").unwrap().counts;
    assert_eq!(
        counts,
        Counts {
            read: 2,
            write: 2,
            exclusive: 0
        },
        "refused as a whole"
    );
    drop(second);
    device.set_access(Access::EXCLUSIVE).unwrap();
    rig.check();
}

#[test]
fn s27c_nothing_is_given_up_while_requests_are_out() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, with_head(64, &[]));
    let device = rig.open("xbd0", Access::EXCLUSIVE);
    rig.settle();
    fake.hold.set(true);
    let write = device.write(512, vec![1; 512]);
    assert_eq!(
        device.set_access(Access::READ).map_err(|e| e.errno),
        Err(Errno::Busy)
    );
    assert_eq!(
        device.set_access(Access::default()).map_err(|e| e.errno),
        Err(Errno::Invalid)
    );
    rig.check();
    fake.finish_all();
    assert_eq!(rig.block(write), Ok(()));
    assert_eq!(device.set_access(Access::READ).map_err(|e| e.errno), Ok(()));
    rig.check();
}

#[test]
fn s20_two_first_opens_count_the_exclusive_bit_once_each() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 8), (9, 8)]));
    let opens = fake.opens.get();
    let first = rig.open("xbd0h1", Access::READ_WRITE);
    let second = rig.open("xbd0h2", Access::READ_WRITE);
    let counts = rig.geom.provider("xbd0").unwrap().counts;
    assert_eq!(
        counts,
        Counts {
            read: 2,
            write: 2,
            exclusive: 2
        }
    );
    assert_eq!(fake.opens.get(), opens + 1, "the driver is opened once");
    drop(first);
    assert!(fake.is_open());
    drop(second);
    assert!(!fake.is_open(), "and closed at the last close");
    assert!(rig.geom.provider("xbd0").unwrap().counts.is_closed());
}

#[test]
fn s25_a_spoiled_consumer_opens_nothing_more() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let raw = rig.open("xbd0", Access::READ_WRITE);
    assert_eq!(
        rig.try_open("xbd0h1", Access::READ).err(),
        Some(Errno::NoDevice)
    );
    rig.settle();
    assert_eq!(rig.names(), ["xbd0"]);
    drop(raw);
    rig.settle();
    assert_eq!(rig.names(), ["xbd0", "xbd0h1"]);
}

#[test]
fn l11_first_write_open_spoils_once_and_last_write_close_tastes_once() {
    let rig = Rig::new();
    let (fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let before = rig.geom.provider("xbd0h1").unwrap().id;
    let first = rig.open("xbd0", WRITE);
    let second = rig.open("xbd0", WRITE);
    rig.settle();
    drop(first);
    rig.settle();
    assert_eq!(rig.names(), ["xbd0"], "still written");
    let reads = fake.strategies.get();
    drop(second);
    rig.settle();
    assert_eq!(
        fake.strategies.get(),
        reads + 2,
        "one taste of the disk, one of the partition"
    );
    assert_ne!(
        rig.geom.provider("xbd0h1").unwrap().id,
        before,
        "ids are not used again"
    );
}

#[test]
fn a_read_only_disk_refuses_writers_at_every_level() {
    let rig = Rig::new();
    let media = with_head(64, &[(1, 8)]);
    let mut params = crate::rig::params(0, media.len() as u64);
    params.read_only = true;
    let fake = crate::fake::Fake::new(media);
    let _handle = rig.create(params, &fake);
    rig.settle();
    for name in ["xbd0", "xbd0h1"] {
        assert_eq!(
            rig.try_open(name, Access::READ_WRITE).err(),
            Some(Errno::ReadOnly)
        );
        let reader = rig.open(name, Access::READ);
        assert_eq!(
            reader.set_access(Access::EXCLUSIVE).map_err(|e| e.errno),
            Err(Errno::ReadOnly)
        );
        assert_eq!(
            rig.block(reader.write(0, vec![0; 512])),
            Err(Errno::NotPermitted)
        );
    }
}

#[test]
fn an_open_needs_a_name_and_a_purpose() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, with_head(64, &[]));
    assert_eq!(
        rig.try_open("xbd1", Access::READ).err(),
        Some(Errno::NotFound)
    );
    assert_eq!(rig.try_open("", Access::READ).err(), Some(Errno::NotFound));
    assert_eq!(
        rig.try_open("xbd0", Access::default()).err(),
        Some(Errno::Invalid)
    );
    rig.settle();
    assert_eq!(rig.geom.counters().consumers, 1, "only the slicer's");
}

#[test]
fn requests_need_the_access_they_were_opened_with() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, with_head(64, &[]));
    let reader = rig.open("xbd0", Access::READ);
    assert_eq!(rig.block(reader.flush()), Err(Errno::NotPermitted));
    assert_eq!(rig.block(reader.delete(0, 512)), Err(Errno::NotPermitted));
    drop(reader);
    let writer = rig.open("xbd0", WRITE);
    assert_eq!(rig.block(writer.read(0, 512)), Err(Errno::NotPermitted));
    assert_eq!(rig.block(writer.write(512, vec![7; 512])), Ok(()));
}
