//! Damage in each field of a GPT header: one copy, then both.

use crate::disk::{Disk, lines, places};
use geom::class::part::table::{State, Table};

const PLACES: [(u32, u64, u64); 2] = [(1, 40, 1039), (2, 2048, 4000)];

/// Both copies get the same damage in turn, then together. With one bad copy the other is used and
/// the table marked; with two it is rejected. `fault` is what the console shows.
fn damage(what: impl Fn(&mut Disk, u64), fault: &str) {
    let one_copy = |lba: u64, line: String| {
        let mut disk = Disk::with_gpt();
        what(&mut disk, lba);
        let table = disk.table();
        assert_eq!(table.state(), State::Corrupt);
        assert_eq!(places(&disk, &table), PLACES);
        assert_eq!(lines(&table), [line]);
    };
    one_copy(1, format!("GPT: primary {fault}, using backup"));
    one_copy(4095, format!("GPT: backup {fault}, using primary"));
    let mut disk = Disk::with_gpt();
    what(&mut disk, 1);
    what(&mut disk, 4095);
    let table = disk.table();
    assert_rejected(&table);
    assert_eq!(
        lines(&table),
        [
            format!("GPT: primary {fault}"),
            format!("GPT: backup {fault}")
        ]
    );
}

/// Changes a field and makes the header's CRC right, so that only the field is wrong.
fn field(at: usize, bytes: &[u8], fault: &str) {
    damage(|disk, lba| disk.forge(lba, at, bytes), fault);
}

pub(crate) fn assert_rejected(table: &Table) {
    assert_eq!(table.state(), State::Rejected);
    assert!(table.partitions().is_empty());
    assert!(!table.reasons().is_empty());
}

#[test]
fn intact_table_is_ok() {
    let disk = Disk::with_gpt();
    let table = disk.table();
    assert_eq!(table.state(), State::Ok);
    assert_eq!(places(&disk, &table), PLACES);
    assert!(table.reasons().is_empty());
}

#[test]
fn signature_gone() {
    damage(
        |disk, lba| disk.poke(lba, 0, b"EFI FART"),
        "header is missing",
    );
}

#[test]
fn header_wiped() {
    damage(Disk::clear, "header is missing");
}

#[test]
fn header_crc_wrong() {
    damage(|disk, lba| disk.flip(lba, 17), "header CRC mismatch");
}

#[test]
fn every_bit_of_a_header_is_guarded() {
    for at in 0..92 {
        let mut disk = Disk::with_gpt();
        disk.flip(1, at);
        let table = disk.table();
        assert_eq!(
            (table.state(), places(&disk, &table)),
            (State::Corrupt, PLACES.to_vec())
        );
    }
}

#[test]
fn header_size_too_small() {
    field(12, &91u32.to_le_bytes(), "header size 91 is impossible");
}

#[test]
fn header_size_zero() {
    field(12, &0u32.to_le_bytes(), "header size 0 is impossible");
}

#[test]
fn header_size_beyond_the_sector() {
    field(12, &513u32.to_le_bytes(), "header size 513 is impossible");
    field(
        12,
        &u32::MAX.to_le_bytes(),
        "header size 4294967295 is impossible",
    );
}

#[test]
fn header_size_of_a_whole_sector_is_accepted() {
    let mut disk = Disk::with_gpt();
    for lba in [1, 4095] {
        disk.forge(lba, 12, &512u32.to_le_bytes());
    }
    assert_eq!(disk.table().state(), State::Ok);
}

#[test]
fn revision_too_old() {
    field(
        8,
        &0xffffu32.to_le_bytes(),
        "header revision 0xffff is unknown",
    );
}

#[test]
fn own_lba_wrong() {
    field(24, &7u64.to_le_bytes(), "header belongs into LBA 7");
}

#[test]
fn other_lba_beyond_the_media() {
    field(
        32,
        &4096u64.to_le_bytes(),
        "header has its other copy at LBA 4096",
    );
}

#[test]
fn other_lba_is_the_own_one() {
    let mut disk = Disk::with_gpt();
    disk.forge(1, 32, &1u64.to_le_bytes());
    let table = disk.table();
    assert_eq!(
        lines(&table),
        ["GPT: primary header has its other copy at LBA 1, using backup"]
    );
    assert_eq!(places(&disk, &table), PLACES);
}

/// The primary is good but points at a sector without a header.
#[test]
fn other_lba_names_a_wrong_sector() {
    let mut disk = Disk::with_gpt();
    disk.forge(1, 32, &4080u64.to_le_bytes());
    let table = disk.table();
    assert_eq!(table.state(), State::Corrupt);
    assert_eq!(
        lines(&table),
        ["GPT: backup header is missing, using primary"]
    );
    assert_eq!(places(&disk, &table), PLACES);
}

#[test]
fn usable_area_starts_too_early() {
    let fault = "header has an impossible usable area, LBA 1 to 4062";
    field(40, &1u64.to_le_bytes(), fault);
}

#[test]
fn usable_area_ends_before_it_starts() {
    let fault = "header has an impossible usable area, LBA 34 to 33";
    field(48, &33u64.to_le_bytes(), fault);
}

#[test]
fn usable_area_reaches_the_last_sector() {
    let fault = "header has an impossible usable area, LBA 34 to 4095";
    field(48, &4095u64.to_le_bytes(), fault);
}

#[test]
fn usable_area_absurd() {
    let fault = format!(
        "header has an impossible usable area, LBA 34 to {}",
        u64::MAX
    );
    field(48, &u64::MAX.to_le_bytes(), &fault);
}

#[test]
fn entry_count_zero() {
    field(
        80,
        &0u32.to_le_bytes(),
        "header has an impossible entry count 0",
    );
}

#[test]
fn entry_count_absurd() {
    field(
        80,
        &4097u32.to_le_bytes(),
        "header has an impossible entry count 4097",
    );
    field(
        80,
        &u32::MAX.to_le_bytes(),
        "header has an impossible entry count 4294967295",
    );
}

#[test]
fn entry_size_odd() {
    for size in [0u32, 1, 120, 127, 129, 132, u32::MAX] {
        let fault = format!("header has an impossible entry size {size}");
        field(84, &size.to_le_bytes(), &fault);
    }
}

#[test]
fn entries_larger_than_we_read() {
    field(
        84,
        &4104u32.to_le_bytes(),
        "table of 525312 bytes is too large",
    );
}

#[test]
fn table_inside_the_usable_area() {
    field(72, &34u64.to_le_bytes(), "table does not fit at LBA 34");
    field(72, &33u64.to_le_bytes(), "table does not fit at LBA 33");
}

#[test]
fn table_over_the_header() {
    field(72, &1u64.to_le_bytes(), "table does not fit at LBA 1");
}

#[test]
fn table_beyond_the_media() {
    field(72, &4064u64.to_le_bytes(), "table does not fit at LBA 4064");
    let fault = format!("table does not fit at LBA {}", u64::MAX);
    field(72, &u64::MAX.to_le_bytes(), &fault);
}

#[test]
fn table_around_the_usable_area() {
    let mut disk = Disk::with_gpt();
    for lba in [1, 4095] {
        disk.poke(lba, 40, &10u64.to_le_bytes());
        disk.forge(lba, 48, &12u64.to_le_bytes());
    }
    disk.forge(4095, 72, &2u64.to_le_bytes());
    let table = disk.table();
    assert_rejected(&table);
    assert_eq!(
        lines(&table),
        [
            "GPT: primary table does not fit at LBA 2",
            "GPT: backup table does not fit at LBA 2"
        ]
    );
}

#[test]
fn table_crc_in_the_header_wrong() {
    field(88, &[1, 2, 3, 4], "table CRC mismatch");
}

/// Whoever may write a partition could put a header of his own into it.
#[test]
fn backup_header_inside_the_usable_area_is_not_believed() {
    let mut disk = Disk::with_gpt();
    let mut forged = disk.sector(4095);
    forged[24..32].copy_from_slice(&3000u64.to_le_bytes());
    disk.poke(3000, 0, &forged);
    disk.seal(3000);
    disk.forge(1, 32, &3000u64.to_le_bytes());
    let table = disk.table();
    assert_eq!(
        lines(&table),
        ["GPT: backup header has an impossible usable area, LBA 34 to 4062, using primary"]
    );
}
