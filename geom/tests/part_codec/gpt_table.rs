//! Damage in GPT entries, in where copies lie, and in what can be read.

use crate::disk::{Disk, Gpt, LINUX, lines, places};
use crate::gpt_header::assert_rejected;
use geom::class::part::guid::{Guid, PartitionType};
use geom::class::part::parse::parse;
use geom::class::part::table::{DiskId, Scheme, State};

fn disk_with(partitions: &[(u64, u64, &str)]) -> Disk {
    let mut disk = Disk::new(4096, 512);
    disk.write_gpt(&Gpt::new(partitions));
    disk
}

#[test]
fn fields_of_an_entry() {
    let mut gpt = Gpt::new(&[(40, 1039, "root")]);
    gpt.entries[0][48..56].copy_from_slice(&(1u64 << 2 | 1 << 60).to_le_bytes());
    let mut disk = Disk::new(4096, 512);
    disk.write_gpt(&gpt);
    let table = disk.table();
    assert_eq!(
        (table.scheme(), table.disk()),
        (Scheme::Gpt, DiskId::Gpt(Guid([0xd1; 16])))
    );
    let root = &table.partitions()[0];
    assert_eq!(
        (root.start, root.length, root.end()),
        (40 * 512, 1000 * 512, 1040 * 512)
    );
    assert_eq!(root.label, "root");
    assert_eq!(root.uuid, Some(Guid([1; 16])));
    assert_eq!(root.kind, PartitionType::Gpt(Guid(LINUX)));
    assert_eq!(root.kind.to_string(), "linux-data");
    assert_eq!((root.attributes, root.active), (1 << 2 | 1 << 60, true));
}

#[test]
fn guid_is_printed_as_the_tools_print_it() {
    assert_eq!(
        Guid(LINUX).to_string(),
        "0fc63daf-8483-4772-8e79-3d69d8477de4"
    );
    assert_eq!(
        PartitionType::Gpt(Guid([1; 16])).to_string(),
        format!("!{}", Guid([1; 16]))
    );
}

#[test]
fn sectors_of_4096_bytes() {
    let mut disk = Disk::new(1000, 4096);
    disk.write_gpt(&Gpt::new(&[(6, 500, "root")]));
    let table = disk.table();
    assert_eq!(
        (table.state(), places(&disk, &table)),
        (State::Ok, vec![(1, 6, 500)])
    );
    assert_eq!(table.partitions()[0].start, 6 * 4096);
}

#[test]
fn entries_of_256_bytes_and_4096_of_them() {
    for (count, entry_size) in [(128, 256), (4096, 128), (1, 128), (3, 136)] {
        let mut gpt = Gpt::new(&[(1100, 1200, "root")]);
        (gpt.count, gpt.entry_size) = (count, entry_size);
        let mut disk = Disk::new(4096, 512);
        disk.write_gpt(&gpt);
        let table = disk.table();
        assert_eq!(
            (table.state(), places(&disk, &table)),
            (State::Ok, vec![(1, 1100, 1200)])
        );
    }
}

#[test]
fn no_partitions_is_a_good_table() {
    let table = disk_with(&[]).table();
    assert_eq!((table.state(), table.partitions().len()), (State::Ok, 0));
}

#[test]
fn unused_entries_keep_the_numbers_of_the_others() {
    let mut gpt = Gpt::new(&[(40, 50, "a"), (60, 70, "b"), (80, 90, "c")]);
    gpt.entries[1][..16].fill(0);
    let mut disk = Disk::new(4096, 512);
    disk.write_gpt(&gpt);
    assert_eq!(places(&disk, &disk.table()), [(1, 40, 50), (3, 80, 90)]);
}

#[test]
fn primary_table_damaged() {
    let mut disk = Disk::with_gpt();
    disk.flip(2, 40);
    let table = disk.table();
    assert_eq!(table.state(), State::Corrupt);
    assert_eq!(
        lines(&table),
        ["GPT: primary table CRC mismatch, using backup"]
    );
    assert_eq!(table.partitions(), Disk::with_gpt().table().partitions());
}

#[test]
fn backup_table_damaged() {
    let mut disk = Disk::with_gpt();
    disk.flip(4063, 40);
    let table = disk.table();
    assert_eq!(table.state(), State::Corrupt);
    assert_eq!(
        lines(&table),
        ["GPT: backup table CRC mismatch, using primary"]
    );
}

#[test]
fn both_tables_damaged() {
    let mut disk = Disk::with_gpt();
    disk.flip(2, 40);
    disk.flip(4063, 41);
    let table = disk.table();
    assert_rejected(&table);
    assert_eq!(
        lines(&table),
        [
            "GPT: primary table CRC mismatch",
            "GPT: backup table CRC mismatch"
        ]
    );
}

#[test]
fn primary_header_and_backup_table_damaged() {
    let mut disk = Disk::with_gpt();
    disk.flip(1, 40);
    disk.flip(4063, 41);
    let table = disk.table();
    assert_rejected(&table);
    assert_eq!(
        lines(&table),
        [
            "GPT: primary header CRC mismatch",
            "GPT: backup table CRC mismatch"
        ]
    );
}

#[test]
fn copies_of_different_tables_keep_the_primary() {
    let mut disk = Disk::with_gpt();
    let other = Gpt::new(&[(100, 200, "other")]);
    disk.write_copy(&other, 4095, 1, 4063);
    let table = disk.table();
    assert_eq!(table.state(), State::Corrupt);
    assert_eq!(
        lines(&table),
        ["GPT: backup header is of another table, using primary"]
    );
    assert_eq!(table.partitions()[0].label, "root");
}

#[test]
fn copies_of_different_tables_keep_the_backup_if_the_primary_table_is_bad() {
    let mut disk = Disk::with_gpt();
    let other = Gpt::new(&[(100, 200, "other")]);
    disk.write_copy(&other, 4095, 1, 4063);
    disk.flip(2, 0);
    let table = disk.table();
    assert_eq!(
        lines(&table),
        ["GPT: primary table CRC mismatch, using backup"]
    );
    assert_eq!(table.partitions()[0].label, "other");
}

#[test]
fn copies_of_different_disks_keep_the_primary() {
    let mut disk = Disk::with_gpt();
    disk.forge(4095, 56, &[9; 16]);
    let table = disk.table();
    assert_eq!(
        lines(&table),
        ["GPT: backup header is of another table, using primary"]
    );
}

#[test]
fn s38_disk_grown_backup_is_not_last() {
    let mut disk = Disk::with_gpt();
    disk.sectors = 1 << 40;
    let table = disk.table();
    assert_eq!(table.state(), State::Corrupt);
    let line = format!(
        "GPT: backup header is at LBA 4095, not in the last sector ({})",
        (1u64 << 40) - 1
    );
    assert_eq!(lines(&table), [line]);
    assert_eq!(table.partitions().len(), 2);
}

#[test]
fn disk_grown_and_primary_lost() {
    let mut disk = Disk::with_gpt();
    disk.sectors = 5000;
    disk.flip(1, 60);
    let table = disk.table();
    assert_rejected(&table);
    assert_eq!(lines(&table)[0], "GPT: primary header CRC mismatch");
    assert_eq!(lines(&table)[1], "GPT: backup header is missing");
}

#[test]
fn disk_shrunk() {
    let mut disk = Disk::with_gpt();
    disk.sectors = 4000;
    let table = disk.table();
    assert_rejected(&table);
    assert_eq!(
        lines(&table)[0],
        "GPT: primary header has its other copy at LBA 4095"
    );
}

#[test]
fn partitions_overlap() {
    let table = disk_with(&[(40, 1039, "a"), (1039, 2000, "b"), (3000, 3001, "c")]).table();
    assert_rejected(&table);
    assert_eq!(lines(&table), ["GPT: partition 2 overlaps partition 1"]);
}

#[test]
fn one_partition_inside_another() {
    let table = disk_with(&[(500, 510, "b"), (40, 3000, "a"), (2000, 2001, "c")]).table();
    assert_rejected(&table);
    assert_eq!(
        lines(&table),
        [
            "GPT: partition 1 overlaps partition 2",
            "GPT: partition 3 overlaps partition 2"
        ]
    );
}

#[test]
fn partition_twice() {
    let table = disk_with(&[(40, 50, "a"), (40, 50, "a")]).table();
    assert_rejected(&table);
    assert_eq!(lines(&table), ["GPT: partition 2 overlaps partition 1"]);
}

#[test]
fn partition_beyond_the_end() {
    for last in [4063, 4095, 1 << 33, u64::MAX] {
        let table = disk_with(&[(40, last, "a")]).table();
        assert_rejected(&table);
        assert_eq!(
            lines(&table),
            ["GPT: partition 1 is not inside the usable area, LBA 34 to 4062"]
        );
    }
}

#[test]
fn partition_over_the_primary_table() {
    let table = disk_with(&[(33, 100, "a")]).table();
    assert_rejected(&table);
    assert_eq!(
        lines(&table),
        ["GPT: partition 1 is not inside the usable area, LBA 34 to 4062"]
    );
}

#[test]
fn partition_ends_before_it_starts() {
    let table = disk_with(&[(100, 99, "a")]).table();
    assert_rejected(&table);
    assert_eq!(lines(&table), ["GPT: partition 1 ends before it starts"]);
}

#[test]
fn thousands_of_faults_make_few_lines() {
    let overlapping: Vec<_> = (0..128).map(|_| (40, 50, "a")).collect();
    let table = disk_with(&overlapping).table();
    assert_rejected(&table);
    assert_eq!(lines(&table).len(), 17);
    assert_eq!(lines(&table)[16], "and 111 more");
}

#[test]
fn labels_that_are_not_text() {
    let mut gpt = Gpt::new(&[(40, 41, ""), (42, 43, ""), (44, 45, "")]);
    let units = |units: &[u16]| {
        units
            .iter()
            .flat_map(|u| u.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let escape = units(&[0x1b, b'[' as u16, b'2' as u16, b'J' as u16, 0, b'x' as u16]);
    gpt.entries[0][56..68].copy_from_slice(&escape);
    gpt.entries[1][56..60].copy_from_slice(&units(&[0xd800, 0x41]));
    gpt.entries[2][56..128].copy_from_slice(&units(&[0xe9; 36]));
    let mut disk = Disk::new(4096, 512);
    disk.write_gpt(&gpt);
    let table = disk.table();
    let labels: Vec<_> = table
        .partitions()
        .iter()
        .map(|p| p.label.as_str())
        .collect();
    assert_eq!(
        labels,
        ["\u{fffd}[2J", "\u{fffd}A", "é".repeat(36).as_str()]
    );
}

#[test]
fn unreadable_primary_header() {
    let mut disk = Disk::with_gpt();
    disk.bad.insert(1);
    let table = disk.table();
    assert_eq!(table.state(), State::Corrupt);
    assert_eq!(
        lines(&table),
        ["GPT: primary header cannot be read, using backup"]
    );
}

#[test]
fn unreadable_primary_table() {
    let mut disk = Disk::with_gpt();
    disk.bad.insert(20);
    let table = disk.table();
    assert_eq!(
        lines(&table),
        ["GPT: primary table cannot be read, using backup"]
    );
}

#[test]
fn unreadable_backup() {
    let mut disk = Disk::with_gpt();
    disk.bad.extend([4095]);
    assert_eq!(
        lines(&disk.table()),
        ["GPT: backup header cannot be read, using primary"]
    );
    disk.bad = [4070].into();
    assert_eq!(
        lines(&disk.table()),
        ["GPT: backup table cannot be read, using primary"]
    );
}

#[test]
fn unreadable_sector_0_is_no_table() {
    let mut disk = Disk::with_gpt();
    disk.bad.insert(0);
    assert_eq!(disk.parse(), None);
}

#[test]
fn dead_disk_ends_quickly() {
    let mut disk = Disk::with_gpt();
    disk.bad.extend(0..4096);
    let (table, needs) = disk.run(|media| parse(media, None));
    assert_eq!(table, None);
    assert!(needs.len() <= 4, "{needs:?}");
}

#[test]
fn usual_gpt_takes_two_reads() {
    for sector_size in [512, 4096] {
        let mut disk = Disk::new(100_000, sector_size);
        disk.write_gpt(&Gpt::new(&[(40, 1039, "root")]));
        let (_, needs) = disk.run(|media| parse(media, None));
        assert_eq!(needs.len(), 2, "{needs:?}");
    }
}

#[test]
fn media_too_small_for_a_table() {
    for sectors in 0..6 {
        let mut disk = Disk::new(sectors, 512);
        assert_eq!(disk.parse(), None);
        if sectors > 1 {
            disk.poke(0, 510, &[0x55, 0xaa]);
            disk.poke(1, 0, b"EFI PART");
            assert_eq!(disk.table().scheme(), Scheme::Mbr);
        }
    }
}

#[test]
fn one_sector_media_full_of_ones() {
    let mut disk = Disk::new(1, 512);
    disk.poke(0, 0, &[0xff; 512]);
    assert_eq!(disk.parse(), None);
}

#[test]
fn smallest_media_with_a_table() {
    let mut gpt = Gpt::new(&[(3, 3, "one")]);
    gpt.count = 4;
    let mut disk = Disk::new(6, 512);
    disk.write_gpt(&gpt);
    let table = disk.table();
    assert_eq!(
        (table.state(), places(&disk, &table)),
        (State::Ok, vec![(1, 3, 3)])
    );
}

#[test]
fn gpt_without_mbr_is_a_gpt() {
    let mut disk = Disk::with_gpt();
    disk.clear(0);
    assert_eq!(disk.table().state(), State::Ok);
    disk.clear(1);
    assert_eq!(
        lines(&disk.table()),
        ["GPT: primary header is missing, using backup"]
    );
}

#[test]
fn plain_mbr_over_a_gpt_wins() {
    let mut disk = Disk::with_gpt();
    disk.mbr_entry(0, 0, 0x80, 0x83, 64, 1000);
    let table = disk.table();
    assert_eq!((table.scheme(), table.state()), (Scheme::Mbr, State::Ok));
    assert_eq!(places(&disk, &table), [(1, 64, 1063)]);
    assert_eq!(
        lines(&table),
        ["MBR: a GPT is ignored, the MBR does not protect it"]
    );
}

#[test]
fn hybrid_mbr_is_a_gpt() {
    let mut disk = Disk::with_gpt();
    disk.mbr_entry(0, 1, 0x80, 0x83, 64, 1000);
    assert_eq!(disk.table().scheme(), Scheme::Gpt);
}

#[test]
fn protective_mbr_alone_is_a_lost_gpt() {
    let mut disk = Disk::new(4096, 512);
    disk.mbr_entry(0, 0, 0, 0xee, 1, u32::MAX);
    let table = disk.table();
    assert_rejected(&table);
    assert_eq!(
        lines(&table),
        [
            "GPT: primary header is missing",
            "GPT: backup header is missing"
        ]
    );
}

#[test]
fn protective_entry_beside_others_without_gpt_is_an_mbr() {
    let mut disk = Disk::new(4096, 512);
    disk.mbr_entry(0, 0, 0, 0x83, 100, 100);
    disk.mbr_entry(0, 1, 0, 0xee, 1, 99);
    let table = disk.table();
    assert_eq!(places(&disk, &table), [(1, 100, 199), (2, 1, 99)]);
}

/// Found by the fuzzer: with an MBR that has partitions beside its protective entry, the owner of
/// one that covers sector 1 or the last sector could write a GPT there, and so divide the whole
/// disk anew.
#[test]
fn gpt_inside_an_mbr_partition_is_not_believed() {
    for (start, size) in [(1, 100), (2000, 2096)] {
        let mut disk = Disk::with_gpt();
        disk.poke(0, 446, &[0; 64]);
        disk.mbr_entry(0, 0, 0, 0x83, start, size);
        disk.mbr_entry(0, 1, 0, 0xee, 1500, 1);
        disk.clear(if start == 1 { 4095 } else { 1 });
        let table = disk.table();
        assert_eq!((table.scheme(), table.partitions().len()), (Scheme::Mbr, 2));
    }
}
