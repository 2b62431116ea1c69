//! What holds for every table the parser gives, whatever the disk.

use crate::image::Image;
use crate::judge::{Place, Verdict, judge};
use geom::class::part::parse::parse;
use geom::class::part::table::{Scheme, State, Table};

/// Parses a disk and checks, in this order:
///
/// 1. each sector is asked for once, in ranges that exist, within the budget, and the answer does
///    not depend on what was read before;
/// 2. partitions are whole sectors inside the media, not over sector 0, none shares a sector with
///    another, their numbers ascend; a rejected table has none; a table is corrupt or rejected if
///    and only if there is a reason (a GPT that is ignored beside a plain MBR is a note);
/// 3. the independent reading of [`judge`] gives the same scheme, state and partitions;
/// 4. whoever can write to the partitions cannot change the table: with every sector of every
///    partition overwritten by a GPT header, a boot record, or FFh, it is the same.
///
/// # Panics
/// If a law is broken.
#[must_use]
pub fn lawful(disk: &Image) -> Option<Table> {
    let table = disk.run(|media| parse(media, None));
    let warm = disk.run_warm(|media| parse(media, None));
    assert_eq!(table, warm, "the answer depends on what was there before");
    if let Some(table) = &table {
        well_formed(disk, table);
    }
    assert_eq!(
        verdict(disk, table.as_ref()),
        judge(disk),
        "the other reading differs"
    );
    if let Some(table) = &table {
        unchangeable(disk, table);
    }
    table
}

fn places(disk: &Image, table: &Table) -> Vec<Place> {
    let size = u64::from(disk.sector_size);
    table
        .partitions()
        .iter()
        .map(|p| (p.index, p.start / size, p.end() / size - 1))
        .collect()
}

fn verdict(disk: &Image, table: Option<&Table>) -> Verdict {
    let Some(table) = table else {
        return Verdict::Nothing;
    };
    match (table.scheme(), table.state()) {
        (Scheme::Gpt, State::Rejected) => Verdict::RejectedGpt,
        (Scheme::Mbr, State::Rejected) => Verdict::RejectedMbr,
        (Scheme::Gpt, state) => Verdict::Gpt(state == State::Corrupt, places(disk, table)),
        (Scheme::Mbr, state) => Verdict::Mbr(state == State::Corrupt, places(disk, table)),
    }
}

fn well_formed(disk: &Image, table: &Table) {
    let size = u64::from(disk.sector_size);
    let media = disk.sectors * size;
    let mut ranges = Vec::new();
    for partition in table.partitions() {
        let (start, end) = (partition.start, partition.end());
        assert!(start.is_multiple_of(size) && partition.length.is_multiple_of(size));
        assert!(
            size <= start && start < end && end <= media,
            "{partition:?}"
        );
        ranges.push((start, end));
    }
    ranges.sort_unstable();
    assert!(
        ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0),
        "overlap: {ranges:?}"
    );
    let indexes: Vec<u32> = table
        .partitions()
        .iter()
        .map(|partition| partition.index)
        .collect();
    assert!(indexes.windows(2).all(|pair| pair[0] < pair[1]) && !indexes.contains(&0));
    let notes = table.reasons().iter().map(ToString::to_string);
    let faults = notes
        .filter(|line| !line.ends_with("does not protect it"))
        .count();
    assert_eq!(faults == 0, table.state() == State::Ok, "{table:?}");
    assert!(table.state() != State::Rejected || table.partitions().is_empty());
}

fn unchangeable(disk: &Image, table: &Table) {
    let ranges = || {
        places(disk, table)
            .into_iter()
            .map(|(_, first, last)| (first, last))
            .collect()
    };
    let mut record = vec![0; disk.sector_size as usize];
    record[446..462].copy_from_slice(&[0, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    record[510..512].copy_from_slice(&[0x55, 0xaa]);
    let header = disk.sector(1).unwrap_or_else(|| record.clone());
    for filling in [header, record, vec![0xff; disk.sector_size as usize]] {
        let changed = disk
            .filled(ranges(), filling)
            .run_warm(|media| parse(media, None));
        let before = verdict(disk, Some(table));
        assert_eq!(
            verdict(disk, changed.as_ref()),
            before,
            "a partition's contents decide"
        );
    }
}
