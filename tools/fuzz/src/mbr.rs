//! Harness for master boot records and chains of extended ones.
//!
//! Oracle: all of [`lawful`]; and for an MBR that is used, each partition is described word for
//! word by an entry of sector 0 or, from number 5, of a record that no partition covers.

use crate::image::Image;
use crate::laws::lawful;
use geom::class::part::guid::PartitionType;
use geom::class::part::mbr::{Entry, Record};
use geom::class::part::table::{Partition, Scheme, Table};

/// Runs one input. Its format is that of [`image`](crate::image).
///
/// # Panics
/// If the oracle is broken.
pub fn mbr(data: &[u8]) {
    let disk = Image::new(data);
    if let Some(table) = lawful(&disk).filter(|table| table.scheme() == Scheme::Mbr) {
        described(&disk, &table);
    }
}

fn described(disk: &Image, table: &Table) {
    let boot = Record::decode(&disk.sector(0).expect("it was read")).expect("it was accepted");
    for partition in table.partitions() {
        let index = partition.index as usize;
        if let Some(entry) = boot.entries.get(index - 1) {
            assert!(
                describes(disk, *entry, 0, partition),
                "{partition:?} is not {entry:?}"
            );
        } else {
            assert!(
                has_record(disk, &boot, table, partition),
                "{partition:?} has no record"
            );
        }
    }
}

fn describes(disk: &Image, entry: Entry, base: u64, partition: &Partition) -> bool {
    let size = u64::from(disk.sector_size);
    partition.start / size == base + u64::from(entry.start)
        && partition.length / size == u64::from(entry.size)
        && partition.kind == PartitionType::Mbr(entry.kind)
        && partition.active == (entry.flag == 0x80)
        && partition.label.is_empty()
}

/// Looks for the record of a logical partition in every sector of the input, not along the chain.
fn has_record(disk: &Image, boot: &Record, table: &Table, partition: &Partition) -> bool {
    let size = u64::from(disk.sector_size);
    let extended = boot
        .entries
        .iter()
        .filter(|entry| entry.is_used() && entry.is_extended());
    let reach = |entry: &Entry| {
        let first = u64::from(entry.start);
        first..first + u64::from(entry.size)
    };
    let covered = |lba: u64| {
        let at = lba * size;
        table
            .partitions()
            .iter()
            .any(|other| (other.start..other.end()).contains(&at))
    };
    extended.map(reach).any(|reach| {
        disk.present(reach).any(|(lba, bytes)| {
            let record = Record::decode(bytes);
            let entries = record.iter().flat_map(|record| record.entries);
            let mut entries = entries.filter(|entry| describes(disk, *entry, lba, partition));
            !covered(lba) && entries.next().is_some()
        })
    })
}
