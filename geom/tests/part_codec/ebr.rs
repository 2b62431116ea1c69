//! Chains of logical partitions. The extended partition is number 2, sectors 1000 to 8999.

use crate::disk::{Disk, lines, places};
use geom::class::part::ebr::RECORDS_MAX;
use geom::class::part::table::State;

const FIRST: (u32, u64, u64) = (1, 64, 163);

/// A disk whose extended partition has records at these sectors (relative to it), each with one
/// partition of 50 sectors that begins 10 sectors after its record.
fn disk_with(records: &[u32]) -> Disk {
    let mut disk = Disk::new(10_000, 512);
    disk.mbr_entry(0, 0, 0, 0x83, 64, 100);
    disk.mbr_entry(0, 1, 0, 0x05, 1000, 8000);
    for (n, record) in records.iter().enumerate() {
        let lba = 1000 + u64::from(*record);
        disk.mbr_entry(lba, 0, 0, 0x83, 10, 50);
        if let Some(next) = records.get(n + 1) {
            disk.mbr_entry(lba, 1, 0, 0x05, *next, 60);
        }
    }
    disk
}

#[track_caller]
fn assert_broken(disk: &Disk, rest: &[(u32, u64, u64)], reasons: &[&str]) {
    let table = disk.table();
    assert_eq!(table.state(), State::Corrupt);
    assert_eq!(lines(&table), reasons);
    assert_eq!(places(disk, &table), [&[FIRST], rest].concat());
}

#[test]
fn three_logical_partitions() {
    let disk = disk_with(&[0, 100, 300]);
    let table = disk.table();
    assert_eq!(table.state(), State::Ok);
    let logical = [(5, 1010, 1059), (6, 1110, 1159), (7, 1310, 1359)];
    assert_eq!(places(&disk, &table), [&[FIRST][..], &logical].concat());
}

#[test]
fn records_need_not_be_in_order() {
    let disk = disk_with(&[0, 300, 100]);
    let logical = [(5, 1010, 1059), (6, 1310, 1359), (7, 1110, 1159)];
    assert_eq!(
        places(&disk, &disk.table()),
        [&[FIRST][..], &logical].concat()
    );
}

#[test]
fn all_three_types_of_extended_partitions() {
    for kind in [0x05, 0x0f, 0x85] {
        let mut disk = disk_with(&[0, 100]);
        disk.mbr_entry(0, 1, 0, kind, 1000, 8000);
        disk.mbr_entry(1000, 1, 0, kind, 100, 60);
        assert_eq!(disk.table().partitions().len(), 3);
    }
}

#[test]
fn two_extended_partitions_are_numbered_on() {
    let mut disk = disk_with(&[0, 100]);
    disk.mbr_entry(0, 2, 0, 0x0f, 9000, 1000);
    disk.mbr_entry(9000, 0, 0, 0x83, 1, 999);
    let logical = [(5, 1010, 1059), (6, 1110, 1159), (7, 9001, 9999)];
    assert_eq!(
        places(&disk, &disk.table()),
        [&[FIRST][..], &logical].concat()
    );
}

#[test]
fn extended_partition_never_filled() {
    let disk = disk_with(&[]);
    let table = disk.table();
    assert_eq!(
        (table.state(), places(&disk, &table)),
        (State::Ok, vec![FIRST])
    );
}

#[test]
fn record_without_a_partition_is_passed_over() {
    let mut disk = disk_with(&[0, 100, 300]);
    disk.poke(1000, 446, &[0; 16]);
    let logical = [(5, 1110, 1159), (6, 1310, 1359)];
    let table = disk.table();
    assert_eq!(
        (table.state(), places(&disk, &table)),
        (State::Ok, [&[FIRST][..], &logical].concat())
    );
}

#[test]
fn chain_loops_to_its_start() {
    let mut disk = disk_with(&[0, 100]);
    disk.mbr_entry(1100, 1, 0, 0x05, 0, 60);
    let logical = [(5, 1010, 1059), (6, 1110, 1159)];
    assert_broken(
        &disk,
        &logical,
        &["MBR: extended partition 2: chain loops back to LBA 1000"],
    );
}

#[test]
fn record_links_to_itself() {
    let mut disk = disk_with(&[0, 100]);
    disk.mbr_entry(1100, 1, 0, 0x05, 100, 60);
    let logical = [(5, 1010, 1059), (6, 1110, 1159)];
    assert_broken(
        &disk,
        &logical,
        &["MBR: extended partition 2: chain loops back to LBA 1100"],
    );
}

#[test]
fn chain_leaves_the_extended_partition() {
    let mut disk = disk_with(&[0, 100]);
    for (start, lba) in [(8000, 9000u64), (u32::MAX, 1000 + u64::from(u32::MAX))] {
        disk.mbr_entry(1100, 1, 0, 0x05, start, 60);
        let line = format!("MBR: extended partition 2: chain leaves the partition for LBA {lba}");
        assert_broken(&disk, &[(5, 1010, 1059), (6, 1110, 1159)], &[&line]);
    }
}

#[test]
fn chain_too_long() {
    let records: Vec<u32> = (0..RECORDS_MAX as u32 + 1).map(|n| n * 60).collect();
    let disk = disk_with(&records);
    let table = disk.table();
    assert_eq!(table.state(), State::Corrupt);
    assert_eq!(
        lines(&table),
        ["MBR: extended partition 2: chain is too long"]
    );
    assert_eq!(table.partitions().len(), 1 + RECORDS_MAX);
    let disk = disk_with(&records[..RECORDS_MAX]);
    assert_eq!(disk.table().state(), State::Ok);
}

#[test]
fn record_without_magic() {
    let mut disk = disk_with(&[0, 100, 300]);
    disk.poke(1100, 510, &[0]);
    let line = "MBR: extended partition 2: no boot record at LBA 1100";
    assert_broken(&disk, &[(5, 1010, 1059)], &[line]);
}

#[test]
fn first_record_is_something_else() {
    let mut disk = disk_with(&[0, 100]);
    disk.poke(1000, 510, b"hi");
    assert_broken(
        &disk,
        &[],
        &["MBR: extended partition 2: no boot record at LBA 1000"],
    );
}

#[test]
fn record_with_a_wrong_flag() {
    let mut disk = disk_with(&[0, 100]);
    disk.poke(1100, 446 + 32, &[1]);
    let line = "MBR: extended partition 2: no boot record at LBA 1100";
    assert_broken(&disk, &[(5, 1010, 1059)], &[line]);
}

#[test]
fn record_unreadable() {
    let mut disk = disk_with(&[0, 100, 300]);
    disk.bad.insert(1100);
    let line = "MBR: extended partition 2: record at LBA 1100 cannot be read";
    assert_broken(&disk, &[(5, 1010, 1059)], &[line]);
}

#[test]
fn record_with_more_than_two_entries() {
    let mut disk = disk_with(&[0, 100]);
    disk.mbr_entry(1000, 2, 0, 0x83, 70, 10);
    let line = "MBR: extended partition 2: record at LBA 1000 has extra entries";
    assert_broken(&disk, &[(5, 1010, 1059), (6, 1110, 1159)], &[line]);
}

#[test]
fn logical_partitions_overlap() {
    let mut disk = disk_with(&[0, 100, 200]);
    disk.mbr_entry(1100, 0, 0, 0x83, 10, 101);
    disk.mbr_entry(1200, 0, 0, 0x83, 5, 101);
    let line = "MBR: logical partition 6 overlaps the records of its chain, \
                extended partition 2 is not used";
    let other = "MBR: logical partition 7 overlaps partition 6, extended partition 2 is not used";
    assert_broken(&disk, &[], &[line, other]);
}

/// Found by the fuzzer: the chain breaks at a sector inside a partition, whose owner could put a
/// record there and so make partitions appear.
#[test]
fn broken_link_into_a_logical_partition() {
    let mut disk = disk_with(&[0, 20]);
    disk.clear(1020);
    let line = "MBR: extended partition 2: no boot record at LBA 1020";
    let other = "MBR: logical partition 5 overlaps the records of its chain, \
                 extended partition 2 is not used";
    assert_broken(&disk, &[], &[line, other]);
}

#[test]
fn logical_partition_over_its_own_record() {
    let mut disk = disk_with(&[0]);
    disk.mbr_entry(1000, 0, 0, 0x83, 0, 50);
    let line = "MBR: logical partition 5 overlaps the records of its chain, \
                extended partition 2 is not used";
    assert_broken(&disk, &[], &[line]);
}

#[test]
fn logical_partition_leaves_the_extended_one() {
    let mut disk = disk_with(&[0]);
    disk.mbr_entry(1000, 0, 0, 0x83, 10, 7991);
    let line = "MBR: logical partition 5 is not inside its extended partition, \
                LBA 1000 to 8999, extended partition 2 is not used";
    assert_broken(&disk, &[], &[line]);
    disk.mbr_entry(1000, 0, 0, 0x83, 10, 7990);
    assert_eq!(disk.table().state(), State::Ok);
}

#[test]
fn sectors_of_4096_bytes() {
    let mut disk4k = Disk::new(10_000, 4096);
    disk4k.mbr_entry(0, 0, 0, 0x0f, 1000, 8000);
    disk4k.mbr_entry(1000, 0, 0, 0x83, 10, 50);
    assert_eq!(places(&disk4k, &disk4k.table()), [(5, 1010, 1059)]);
}

/// Four full chains of 4096-byte records are more than a taste may read: the rest is left out, with
/// a reason, and what was read is kept.
#[test]
fn four_full_chains_of_large_sectors_end_at_the_budget() {
    let mut disk = Disk::new(100_000, 4096);
    for extended in 0..4u32 {
        let start = 10_000 + extended * 20_000;
        disk.mbr_entry(0, extended as usize, 0, 0x05, start, 20_000);
        for n in 0..RECORDS_MAX as u32 {
            let lba = u64::from(start + n * 60);
            disk.mbr_entry(lba, 0, 0, 0x83, 10, 50);
            if n + 1 < RECORDS_MAX as u32 {
                disk.mbr_entry(lba, 1, 0, 0x05, (n + 1) * 60, 60);
            }
        }
    }
    let table = disk.table();
    assert_eq!(table.state(), State::Corrupt);
    assert!(
        lines(&table)[0].contains("is larger than a taste may read"),
        "{:?}",
        lines(&table)
    );
    assert!(table.partitions().len() > 200);
}
