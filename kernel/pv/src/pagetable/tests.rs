use super::*;

#[test]
fn an_entry_carries_its_frame_and_its_flags() {
    let word = entry(0x12_3456, 0x8000_0000_0000_0003);
    assert_eq!(word, 0x8000_0001_2345_6003);
    assert_eq!(frame_of(word), 0x12_3456);
}

#[test]
fn registers_are_in_frames_that_an_entry_can_name() {
    const LAST: u64 = 0xff_ffff_ffff;
    let frames = |address, pages| device_frames(address, pages, []);
    assert_eq!(frames(0, 1), Ok(0..1));
    assert_eq!(frames(0xc0_0000_0000, 512), Ok(0xc00_0000..0xc00_0200));
    assert_eq!(frames(LAST << 12, 1), Ok(LAST..LAST + 1));
    assert_eq!(frames((LAST - 511) << 12, 512), Ok(LAST - 511..LAST + 1));
    for (address, pages) in [
        (0x1000, 0),
        (0x1000, 513),
        (0x1000, usize::MAX),
        (1, 1),
        (0x1fff, 1),
        (LAST << 12, 2),
        ((LAST - 510) << 12, 512),
        ((LAST + 1) << 12, 1),
        (!0xfff, 1),
        (!0xfff, usize::MAX),
        (u64::MAX, 1),
    ] {
        assert_eq!(
            frames(address, pages),
            Err(Errno::EINVAL),
            "{address:#x} {pages}"
        );
    }
}

#[test]
fn registers_are_not_where_the_domains_memory_is() {
    // Memory is anywhere in the machine, in no order.
    let frames = |first: u64, pages| device_frames(first << 12, pages, [0x20, 0x10, 0]);
    for (first, pages) in [(0, 1), (0x10, 1), (0x10, 4), (0xd, 4), (0xe, 4), (1, 512)] {
        assert_eq!(
            frames(first, pages),
            Err(Errno::EINVAL),
            "{first:#x} {pages}"
        );
    }
    assert_eq!(frames(0xc, 4), Ok(0xc..0x10), "just below");
    assert_eq!(frames(0x11, 0xf), Ok(0x11..0x20), "between");
    assert_eq!(frames(0x21, 512), Ok(0x21..0x221), "just above");
}

/// Builds the map as `machine` does, over a model of memory: every write to a table must go through
/// a mapping that exists by then, and in the end every frame is mapped once, tables read-only.
fn build(frames: u64, room: u64, first: u64, mapped: u64) {
    let plan = DirectMap::new(frames, room, first, mapped).unwrap();
    let mut writable = vec![None; usize::try_from(frames).unwrap()];
    let protect = |writable: &mut Vec<Option<bool>>, table: u64| {
        let table = usize::try_from(table).unwrap();
        if writable[table] == Some(true) {
            writable[table] = Some(false);
        }
    };
    let mut tables = vec![plan.level3_frame()];
    tables.extend((0..plan.level2()).map(|index| plan.level2_frame(index)));
    assert!(tables.iter().all(|table| *table < mapped));
    for index in 0..plan.level1() {
        let table = plan.level1_frame(index);
        tables.push(table);
        let reachable = table < mapped || writable[usize::try_from(table).unwrap()] == Some(true);
        assert!(reachable, "table {index} is written before it is mapped");
        let range = plan.mapped_by(index);
        for pfn in range.start.0..range.end.0 {
            let slot = &mut writable[usize::try_from(pfn).unwrap()];
            assert_eq!(*slot, None, "{pfn} is mapped twice");
            *slot = Some(!plan.is_table(Pfn(pfn)));
        }
        protect(&mut writable, table);
    }
    assert_eq!(tables, plan.tables().collect::<Vec<_>>());
    for (pfn, writable) in writable.iter().enumerate() {
        let is_table = plan.tables().contains(&u64::try_from(pfn).unwrap());
        assert_eq!(*writable, Some(!is_table), "{pfn}");
    }
}

#[test]
fn all_memory_is_mapped_once_and_tables_are_read_only() {
    build(1024, 1024, 600, 1024);
    build(2048, 2048, 900, 2048);
    build(2047, 2047, 900, 2048 - 512);
    build(16_384, 16_384, 900, 1024);
    // 1 GiB: more tables than the builder's slack.
    build(262_144, 262_144, 1400, 2048 - 512);
    build(400_001, 400_001, 900, 1024 + 128);
}

#[test]
fn there_is_room_for_what_may_come_later() {
    build(16_384, 65_536, 900, 1024);
    build(2048, 1 << 20, 900, 2048);
    let plan = DirectMap::new(2048, 1 << 20, 900, 2048).unwrap();
    assert_eq!((plan.room(), plan.level1(), plan.level2()), (1 << 20, 4, 4));
    // A limit below what there is means nothing.
    let plan = DirectMap::new(2048, 7, 900, 2048).unwrap();
    assert_eq!((plan.room(), plan.level2()), (2048, 1));
    let few = DirectMap::new(2048, 1 << 27, 900, 1024);
    assert_eq!(few, Err(NoRoom::Tables), "the builder mapped too little");
    let much = DirectMap::new(2048, 1 << 28, 900, 1024);
    assert_eq!(much, Err(NoRoom::Window));
}

#[test]
fn what_cannot_be_mapped_is_said_at_once() {
    assert_eq!(
        DirectMap::new(1024, 1024, 1022, 1024),
        Err(NoRoom::Tables),
        "no frames left"
    );
    assert_eq!(
        DirectMap::new(4096, 4096, 1024, 1024),
        Err(NoRoom::Tables),
        "nothing mapped is free"
    );
    assert_eq!(
        DirectMap::new(1 << 28, 1 << 28, 1000, 1010),
        Err(NoRoom::Window)
    );
    assert_eq!(
        DirectMap::new(1 << 24, 1 << 24, 1000, 1020),
        Err(NoRoom::Tables),
        "the first tables do not reach the later ones"
    );
}
