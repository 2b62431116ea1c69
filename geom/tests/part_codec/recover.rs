//! Recovery: after its writes both copies are good and the partitions are what they were.

use crate::disk::{Disk, Gpt, places};
use geom::class::part::recover::{Unrecoverable, Write, recover};
use geom::class::part::table::State;

fn writes(disk: &Disk) -> Result<Vec<Write>, Unrecoverable> {
    disk.run(recover).0
}

fn apply(disk: &mut Disk, write: &Write) {
    assert!(write.offset.is_multiple_of(u64::from(disk.sector_size)));
    disk.poke(write.offset / u64::from(disk.sector_size), 0, &write.bytes);
}

/// Recovers, and checks that the table is usable with the same partitions after each single write:
/// power may be lost at any of them.
fn recovers(mut disk: Disk) -> Disk {
    let before = disk.table().partitions().to_vec();
    for write in writes(&disk).expect("recoverable") {
        apply(&mut disk, &write);
        assert_eq!(disk.table().partitions(), before);
    }
    assert_eq!(disk.table().state(), State::Ok);
    assert_eq!(writes(&disk), Ok(vec![]));
    disk
}

#[test]
fn good_table_needs_no_writes() {
    assert_eq!(writes(&Disk::with_gpt()), Ok(vec![]));
}

#[test]
fn primary_header_lost() {
    let mut disk = Disk::with_gpt();
    disk.clear(1);
    let disk = recovers(disk);
    assert_eq!(disk.sector(1), Disk::with_gpt().sector(1));
}

#[test]
fn primary_table_lost() {
    let mut disk = Disk::with_gpt();
    disk.clear(2);
    let disk = recovers(disk);
    assert_eq!(disk.sector(2), Disk::with_gpt().sector(2));
}

#[test]
fn backup_lost() {
    let mut disk = Disk::with_gpt();
    disk.clear(4095);
    disk.clear(4063);
    let disk = recovers(disk);
    assert_eq!(disk.sector(4095), Disk::with_gpt().sector(4095));
}

#[test]
fn primary_and_protective_mbr_lost() {
    let mut disk = Disk::with_gpt();
    disk.poke(0, 0, b"boot code");
    disk.poke(0, 510, &[0, 0]);
    disk.clear(1);
    let disk = recovers(disk);
    assert!(disk.sector(0).starts_with(b"boot code"));
    assert_eq!(
        disk.sector(0)[446..458],
        [0, 0, 2, 0, 0xee, 255, 255, 255, 1, 0, 0, 0]
    );
    assert_eq!(disk.sector(0)[458..], Disk::with_gpt().sector(0)[458..]);
}

#[test]
fn s38_disk_grown() {
    let mut disk = Disk::with_gpt();
    disk.sectors = 10_000;
    let disk = recovers(disk);
    assert_eq!(disk.sector(9999)[..8], *b"EFI PART");
    let last_usable = u64::from_le_bytes(disk.sector(1)[48..56].try_into().expect("good"));
    assert_eq!(last_usable, 9999 - 33, "the new space is usable");
}

#[test]
fn sectors_of_4096_bytes_and_odd_entries() {
    let mut gpt = Gpt::new(&[(20, 30, "a")]);
    (gpt.count, gpt.entry_size) = (5, 136);
    let mut disk = Disk::new(100, 4096);
    disk.write_gpt(&gpt);
    disk.clear(1);
    let disk = recovers(disk);
    assert_eq!(places(&disk, &disk.table()), [(1, 20, 30)]);
}

#[test]
fn nothing_good_to_recover_from() {
    let mut disk = Disk::with_gpt();
    disk.clear(1);
    disk.clear(4095);
    assert_eq!(writes(&disk), Err(Unrecoverable::NoGoodCopy));
    assert_eq!(
        writes(&Disk::new(4096, 512)),
        Err(Unrecoverable::NoGoodCopy)
    );
}

#[test]
fn overlapping_partitions_are_not_recovered() {
    let mut disk = Disk::new(4096, 512);
    disk.write_gpt(&Gpt::new(&[(40, 50, "a"), (45, 60, "b")]));
    assert_eq!(writes(&disk), Err(Unrecoverable::NoGoodCopy));
}

/// Entries only between header and sector 34, but partitions up to the last sector but one: there
/// is no place for the backup's entries.
#[test]
fn no_room_for_the_backup() {
    let mut disk = Disk::with_gpt();
    disk.forge(1, 48, &4094u64.to_le_bytes());
    assert_eq!(disk.table().state(), State::Corrupt);
    assert_eq!(writes(&disk), Err(Unrecoverable::NoRoom));
}
