//! Scenarios 35 to 41, 51 and 53: other sizes, other sectors, other limits.

use std::rc::Rc;

use geom::class::{Class, Slice, Table, Verdict};
use geom::disk::DiskError;
use geom::media::{Media, Need};
use geom::{Access, Errno, Tasted};

use crate::rig::{Rig, pattern, with_head, write_head};

/// A class whose table is in the last sector and names the media's size in sectors.
struct Tail;

impl Class for Tail {
    fn name(&self) -> &'static str {
        "TAIL"
    }

    fn taste(&self, media: &Media, _outer: &[&'static str]) -> Result<Verdict, Need> {
        let Some(last) = media.sector_count().checked_sub(1) else {
            return Ok(Verdict::NotMine);
        };
        let Ok(bytes) = media.read_sector(last)? else {
            return Ok(Verdict::NotMine);
        };
        if bytes.get(..4) != Some(b"TAIL") || u64::from(bytes[4]) != media.sector_count() {
            return Ok(Verdict::NotMine);
        }
        let slice = Slice {
            suffix: "t".into(),
            length: last * 512,
            ..Slice::default()
        };
        Ok(Verdict::Mine(Table {
            scheme: "TAIL",
            slices: vec![slice],
            ..Table::default()
        }))
    }
}

fn write_tail(media: &mut [u8], sectors: usize) {
    let at = (sectors - 1) * 512;
    media[at..at + 5].copy_from_slice(&[b'T', b'A', b'I', b'L', sectors as u8]);
}

fn tail_rig() -> Rig {
    Rig::with_classes(vec![Rc::new(Tail)])
}

#[test]
fn s35_a_resize_dies_with_its_provider() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    handle.resize(32 * 512).unwrap();
    handle.gone();
    rig.settle();
    assert_eq!(fake.gone.get(), 1);
    assert_eq!(handle.resize(16 * 512), Err(DiskError::Gone));
    drop(handle);
    rig.assert_empty();
}

#[test]
fn s36_a_taster_sees_one_size_only() {
    let rig = tail_rig();
    let mut media = pattern(64);
    write_tail(&mut media, 32);
    let (fake, handle) = rig.disk(0, media);
    fake.hold.set(true);
    rig.settle();
    assert_eq!(fake.held.borrow()[0].offset, 63 * 512, "the old end");
    handle.resize(32 * 512).unwrap();
    rig.settle();
    fake.finish(0);
    rig.settle();
    assert_eq!(
        fake.held.borrow()[0].offset,
        31 * 512,
        "the new end, from the start"
    );
    fake.hold.set(false);
    fake.finish_all();
    rig.settle();
    assert_eq!(rig.live_names(), ["xbd0", "xbd0t"]);
}

#[test]
fn s37_shrinking_below_an_open_partition() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8), (32, 16)]));
    let inside = rig.open("xbd0h1", Access::READ_WRITE);
    let outside = rig.open("xbd0h2", Access::READ_WRITE);
    rig.settle();
    fake.hold.set(true);
    let queued = [outside.read(0, 512), outside.read(0, 512)];
    let behind_flush = outside.flush();
    let late = outside.read(8 * 512, 512);
    handle.resize(40 * 512).unwrap();
    fake.finish_all();
    rig.settle();
    fake.finish_all();
    rig.settle();
    // The flush has let the late read go on, which is beyond the end now.
    assert_eq!(rig.block(behind_flush), Ok(()));
    assert_eq!(
        rig.block(late),
        Err(Errno::BeyondEnd),
        "nothing past the end reaches the driver"
    );
    assert!(queued.into_iter().all(|read| rig.block(read).is_ok()));
    fake.hold.set(false);
    assert_eq!(
        rig.block(outside.read(0, 512)),
        Err(Errno::NoDevice),
        "the partition is lost"
    );
    assert_eq!(
        rig.block(inside.read(0, 512)).map(|bytes| bytes.len()),
        Ok(512),
        "this one is not"
    );
    assert_eq!(inside.error(), None);
    drop((inside, outside));
    rig.settle();
    assert_eq!(rig.geom.provider("xbd0").unwrap().media_size, 40 * 512);
}

#[test]
fn s38_growing_keeps_open_partitions_and_writes_nothing() {
    let rig = Rig::new();
    let media = with_head(64, &[(1, 8)]);
    let (fake, handle) = rig.settled_disk(0, media.clone());
    let device = rig.open("xbd0h1", Access::READ_WRITE);
    let id = device.id();
    rig.settle();
    let generation = rig.geom.provider("xbd0").unwrap().generation;
    fake.media.borrow_mut().extend_from_slice(&[0; 64 * 512]);
    handle.resize(128 * 512).unwrap();
    rig.settle();
    let disk = rig.geom.provider("xbd0").unwrap();
    assert_eq!(
        (disk.media_size, disk.generation),
        (128 * 512, generation + 1)
    );
    assert_eq!(device.error(), None);
    assert_eq!(rig.geom.provider("xbd0h1").unwrap().id, id);
    assert_eq!(fake.media.borrow()[..64 * 512], media);
}

#[test]
fn s38b_metadata_at_the_new_end_is_found() {
    let rig = tail_rig();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    assert_eq!(rig.names(), ["xbd0"]);
    let mut media = pattern(96);
    write_tail(&mut media, 96);
    *fake.media.borrow_mut() = media;
    handle.resize(96 * 512).unwrap();
    rig.settle();
    assert_eq!(rig.names(), ["xbd0", "xbd0t"]);
}

#[test]
fn s38c_a_table_that_is_lost_by_a_resize() {
    for held in [false, true] {
        let rig = tail_rig();
        let mut media = pattern(64);
        write_tail(&mut media, 64);
        let (fake, handle) = rig.settled_disk(0, media);
        let holder = held.then(|| rig.open("xbd0t", Access::READ));
        fake.media.borrow_mut().extend_from_slice(&pattern(64));
        handle.resize(128 * 512).unwrap();
        rig.settle();
        if let Some(device) = &holder {
            assert_eq!(device.error(), None, "what is open is not taken away");
            assert!(
                rig.geom.tree().contains("no table found"),
                "{}",
                rig.geom.tree()
            );
        } else {
            assert_eq!(rig.names(), ["xbd0"]);
        }
    }
}

#[test]
fn s39_another_sector_size_replaces_the_provider() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let holder = rig.open("xbd0", Access::READ);
    let old = holder.id();
    fake.hold.set(true);
    let out = holder.read(0, 512);
    handle.replace_media(32 * 4096, 4096).unwrap();
    assert_eq!(
        rig.try_open("xbd0", Access::READ)
            .map(|device| device.sector_size()),
        Ok(4096)
    );
    *fake.media.borrow_mut() = pattern(32 * 8);
    fake.finish_all();
    fake.hold.set(false);
    rig.settle();
    assert!(rig.block(out).is_ok());
    assert_eq!(rig.block(holder.read(0, 512)), Err(Errno::NoDevice));
    let new = rig.geom.provider("xbd0").unwrap();
    assert_ne!(new.id, old);
    assert_eq!((new.sector_size, new.media_size), (4096, 32 * 4096));
    drop(holder);
    rig.settle();
    assert_eq!(rig.names(), ["xbd0"]);
    assert_eq!(fake.gone.get(), 0, "the disk lives");
    handle.destroy().unwrap();
    rig.settle();
    assert_eq!(fake.gone.get(), 1);
    rig.assert_empty();
}

#[test]
fn s39b_waiting_requests_do_not_cross_to_another_sector_size() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let holder = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    fake.hold.set(true);
    let out = holder.read(0, 512);
    let (flush, behind) = (holder.flush(), holder.read(512, 512));
    handle.replace_media(8 * 4096, 4096).unwrap();
    fake.finish_all();
    rig.settle();
    assert!(rig.block(out).is_ok());
    assert_eq!(rig.block(flush), Err(Errno::NoDevice));
    assert_eq!(rig.block(behind), Err(Errno::NoDevice));
}

#[test]
fn s40_of_two_resizes_the_last_wins() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    let before = device.generation();
    handle.resize(32 * 512).unwrap();
    handle.resize(48 * 512).unwrap();
    rig.settle();
    assert_eq!(
        (device.media_size(), device.generation()),
        (48 * 512, before + 1)
    );
    handle.resize(48 * 512).unwrap();
    rig.settle();
    assert_eq!(device.generation(), before + 1, "unchanged is nothing");
    assert_eq!(handle.resize(100), Err(DiskError::MediaSize(100)));
    assert_eq!(device.media_size(), 48 * 512);
    drop((device, fake));
}

#[test]
fn s41_metadata_in_a_shared_last_sector_belongs_to_the_matching_size() {
    // A partition that ends with the disk: its last sector is the disk's.
    let rig = Rig::with_classes(vec![Rc::new(crate::rig::Head), Rc::new(Tail)]);
    let mut media = with_head(64, &[(32, 32)]);
    write_tail(&mut media, 64);
    media[63 * 512 + 4] = 32;
    let (_fake, _handle) = rig.settled_disk(0, media);
    assert_eq!(rig.names(), ["xbd0", "xbd0h1", "xbd0h1t"]);
}

#[test]
fn s51_waiting_requests_are_split_by_the_new_limit() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ_WRITE);
    rig.settle();
    fake.hold.set(true);
    let out = device.read(0, 512);
    let (flush, big) = (device.flush(), device.read(0, 4096));
    let mut limits = device.limits().unwrap();
    limits.max_io = 1536;
    handle.set_limits(limits).unwrap();
    limits.max_io = 511;
    assert_eq!(handle.set_limits(limits), Err(DiskError::MaxIo(511)));
    fake.finish_all();
    rig.settle();
    fake.finish_all();
    rig.settle();
    let lengths: Vec<_> = fake.held.borrow().iter().map(|bio| bio.length).collect();
    assert_eq!(lengths, [1536, 1536, 1024]);
    fake.finish_all();
    assert_eq!(rig.block(big).unwrap(), pattern(8));
    assert!(rig.block(out).is_ok() && rig.block(flush).is_ok());
}

#[test]
fn s54_sectors_of_4096_bytes() {
    let rig = Rig::new();
    let mut params = crate::rig::params(0, 64 * 512);
    params.sector_size = 4096;
    let fake = crate::fake::Fake::new(pattern(64));
    let _handle = rig.create(params, &fake);
    rig.settle();
    let device = rig.open("xbd0", Access::READ);
    assert_eq!(
        (device.sector_size(), device.media_size()),
        (4096, 64 * 512)
    );
    assert_eq!(rig.block(device.read(0, 512)), Err(Errno::Invalid));
    assert_eq!(rig.block(device.read(512, 4096)), Err(Errno::Invalid));
    assert_eq!(
        rig.block(device.read(4096, 8192)).unwrap(),
        pattern(64)[4096..12288]
    );
}

#[test]
fn a_changed_media_is_tasted_anew() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let old = rig.open("xbd0h1", Access::READ);
    write_head(&mut fake.media.borrow_mut(), 0, &[(16, 8), (32, 8)]);
    handle.media_changed().unwrap();
    rig.settle();
    assert_eq!(old.error(), Some(Errno::NoDevice));
    assert_eq!(rig.live_names(), ["xbd0", "xbd0h1", "xbd0h2"]);
    assert_eq!(rig.geom.provider("xbd0h1").unwrap().offset, 16 * 512);
    handle.replace_media(16 * 512, 512).unwrap();
    write_head(&mut fake.media.borrow_mut(), 0, &[]);
    rig.settle();
    assert_eq!(rig.live_names(), ["xbd0"]);
    drop(old);
}

#[test]
fn media_may_come_and_leave() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, Vec::new());
    assert_eq!(rig.geom.provider("xbd0").unwrap().tasted, Tasted::Never);
    *fake.media.borrow_mut() = with_head(64, &[(1, 8)]);
    handle.resize(64 * 512).unwrap();
    rig.settle();
    assert_eq!(rig.live_names(), ["xbd0", "xbd0h1"]);
    handle.resize(0).unwrap();
    rig.settle();
    assert_eq!(rig.live_names(), ["xbd0"]);
}

#[test]
fn s40b_a_partition_lost_by_shrinking_comes_back_as_a_new_provider() {
    let rig = Rig::new();
    let (_fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8), (32, 16)]));
    let kept = rig.open("xbd0h1", Access::READ_WRITE);
    let lost = rig.open("xbd0h2", Access::READ);
    handle.resize(40 * 512).unwrap();
    rig.settle();
    handle.resize(64 * 512).unwrap();
    rig.settle();
    assert_eq!(
        lost.error(),
        Some(Errno::NoDevice),
        "what was told stays true"
    );
    assert_eq!(kept.error(), None);
    let back = rig.geom.provider("xbd0h2").unwrap();
    assert!(back.id != lost.id() && back.error.is_none());
    drop(lost);
    rig.settle();
    assert_eq!(rig.names(), ["xbd0", "xbd0h1", "xbd0h2"]);
}
