//! Primary partitions, and what is no MBR.

use crate::disk::{Disk, lines, places};
use crate::gpt_header::assert_rejected;
use geom::class::part::guid::PartitionType;
use geom::class::part::table::{DiskId, Scheme, State};

fn disk_with(entries: &[(u8, u32, u32)]) -> Disk {
    let mut disk = Disk::new(10_000, 512);
    for (slot, (kind, start, size)) in entries.iter().enumerate() {
        disk.mbr_entry(0, slot, 0, *kind, *start, *size);
    }
    disk
}

#[test]
fn four_primaries() {
    let mut disk = disk_with(&[(0x83, 64, 100), (7, 9000, 1000), (0, 5, 5), (0xa5, 1, 63)]);
    disk.mbr_entry(0, 0, 0x80, 0x83, 64, 100);
    disk.poke(0, 440, &0xdead_beefu32.to_le_bytes());
    let table = disk.table();
    assert_eq!((table.scheme(), table.state()), (Scheme::Mbr, State::Ok));
    assert_eq!(table.disk(), DiskId::Mbr(0xdead_beef));
    assert_eq!(
        places(&disk, &table),
        [(1, 64, 163), (2, 9000, 9999), (4, 1, 63)]
    );
    let kinds: Vec<_> = table
        .partitions()
        .iter()
        .map(|p| p.kind.to_string())
        .collect();
    assert_eq!(kinds, ["linux-data", "ntfs", "freebsd"]);
    let active: Vec<_> = table.partitions().iter().map(|p| p.active).collect();
    assert_eq!(active, [true, false, false]);
    assert_eq!(PartitionType::Mbr(0x99).to_string(), "!153");
}

#[test]
fn sectors_of_4096_bytes() {
    let mut disk = Disk::new(1000, 4096);
    disk.mbr_entry(0, 0, 0, 0x83, 10, 990);
    let table = disk.table();
    assert_eq!(places(&disk, &table), [(1, 10, 999)]);
    assert_eq!(table.partitions()[0].start, 40_960);
}

#[test]
fn sectors_of_8192_bytes_have_no_mbr() {
    let mut disk = Disk::new(1000, 8192);
    disk.mbr_entry(0, 0, 0, 0x83, 10, 990);
    assert_eq!(disk.parse(), None);
}

#[test]
fn no_magic_is_no_mbr() {
    let mut disk = disk_with(&[(0x83, 64, 100)]);
    disk.poke(0, 511, &[0xab]);
    assert_eq!(disk.parse(), None);
}

#[test]
fn flag_other_than_0_and_80_is_no_mbr() {
    for slot in 0..4 {
        let mut disk = disk_with(&[(0x83, 64, 100)]);
        disk.poke(0, 446 + 16 * slot, &[0x81]);
        assert_eq!(disk.parse(), None);
    }
}

#[test]
fn boot_sector_of_a_file_system_is_no_mbr() {
    let mut disk = disk_with(&[(0, 0, 0)]);
    disk.poke(0, 446, &[0; 64]);
    disk.poke(0, 11, &[0, 2, 8]);
    assert_eq!(disk.parse(), None);
    disk.poke(0, 13, &[3]);
    assert_eq!(
        disk.table().partitions().len(),
        0,
        "3 sectors a cluster: no file system"
    );
}

#[test]
fn empty_table_is_a_good_table() {
    let mut disk = Disk::new(100, 512);
    disk.poke(0, 510, &[0x55, 0xaa]);
    let table = disk.table();
    assert_eq!((table.scheme(), table.state()), (Scheme::Mbr, State::Ok));
    assert!(table.partitions().is_empty());
}

#[test]
fn one_sector_media_with_an_empty_table() {
    let mut disk = Disk::new(1, 512);
    disk.poke(0, 510, &[0x55, 0xaa]);
    assert_eq!(disk.table().state(), State::Ok);
    disk.mbr_entry(0, 0, 0, 0x83, 0, 1);
    assert_rejected(&disk.table());
}

#[test]
fn partitions_overlap() {
    let table = disk_with(&[(0x83, 64, 100), (0x83, 163, 10)]).table();
    assert_rejected(&table);
    assert_eq!(lines(&table), ["MBR: partition 2 overlaps partition 1"]);
}

#[test]
fn partition_overlaps_an_extended_one() {
    let table = disk_with(&[(0x05, 64, 100), (0x83, 100, 10)]).table();
    assert_rejected(&table);
    assert_eq!(lines(&table), ["MBR: partition 2 overlaps partition 1"]);
}

#[test]
fn partition_beyond_the_end() {
    for (start, size) in [(9999, 2), (10_000, 1), (1, 10_000), (u32::MAX, u32::MAX)] {
        let table = disk_with(&[(0x83, start, size)]).table();
        assert_rejected(&table);
        assert_eq!(
            lines(&table),
            ["MBR: partition 1 is not inside the usable area, LBA 1 to 9999"]
        );
    }
}

#[test]
fn partition_over_the_mbr_itself() {
    let table = disk_with(&[(0x83, 0, 100)]).table();
    assert_rejected(&table);
}

#[test]
fn largest_numbers_on_a_disk_large_enough() {
    let mut disk = Disk::new(1 << 40, 512);
    disk.mbr_entry(0, 0, 0, 0x83, u32::MAX, u32::MAX);
    let last = 2 * u64::from(u32::MAX) - 1;
    assert_eq!(
        places(&disk, &disk.table()),
        [(1, u64::from(u32::MAX), last)]
    );
}

#[test]
fn mbr_in_mbr_is_not_looked_at() {
    let disk = disk_with(&[(0x83, 64, 100)]);
    assert_eq!(disk.parse_within(Some(Scheme::Mbr)), None);
    assert!(disk.parse_within(Some(Scheme::Gpt)).is_some());
}

#[test]
fn gpt_in_mbr_is_looked_at() {
    assert!(Disk::with_gpt().parse_within(Some(Scheme::Mbr)).is_some());
}
