//! An independent reading of partition tables, to compare with.
//!
//! It has the whole disk at hand and no budget, so it can be the plain text of the rules: FreeBSD's
//! for which copy of a GPT counts, and a quadratic comparison for overlaps. It knows nothing of
//! reasons: only what is accepted, with which partitions, and whether something was wrong.

use crate::image::Image;
use crate::repair::crc32;

/// First and last sector of a partition, and its number.
pub type Place = (u32, u64, u64);

/// What a disk carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No table.
    Nothing,
    /// A GPT that cannot be used.
    RejectedGpt,
    /// An MBR that cannot be used.
    RejectedMbr,
    /// A GPT; whether it is corrupt; partitions by number.
    Gpt(bool, Vec<Place>),
    /// An MBR, as above.
    Mbr(bool, Vec<Place>),
}

/// Reads a disk that is not itself a partition.
#[must_use]
pub fn judge(disk: &Image) -> Verdict {
    let Some(boot) = disk.sector(0) else {
        return Verdict::Nothing;
    };
    let magic = boot[510..512] == [0x55, 0xaa];
    let slots: Vec<&[u8]> = boot[446..510].chunks(16).collect();
    let blank = boot[446..510].iter().all(|byte| *byte == 0);
    let bpb = matches!(boot[11..13], [0, 2 | 4 | 8 | 16]) && boot[13].count_ones() == 1;
    let flags = slots.iter().all(|slot| slot[0] & 0x7f == 0);
    let plain = magic && flags && !(blank && bpb) && disk.sector_size <= 4096;
    let protective = magic && slots.iter().any(|slot| slot[4] == 0xee);
    let others = slots
        .iter()
        .any(|s| s[4] != 0xee && s[4] != 0 && s[12..16] != [0; 4]);
    let room = disk.sectors >= 6;
    let signed = |lba| {
        disk.sector(lba)
            .is_some_and(|sector| sector.starts_with(b"EFI PART"))
    };
    let owned = |lba: u64| {
        let mut parts = slots.iter().filter(|slot| slot[4] != 0 && slot[4] != 0xee);
        let first = |slot: &[u8]| le(&slot[8..12]);
        plain && parts.any(|s| first(s) <= lba && lba - first(s) < le(&s[12..16]))
    };
    let seen = room
        && [1, disk.sectors - 1]
            .iter()
            .any(|lba| signed(*lba) && !owned(*lba));
    if plain && !protective {
        return mbr(disk, &boot);
    }
    if seen || plain && room && !others {
        return gpt(disk);
    }
    if plain {
        mbr(disk, &boot)
    } else {
        Verdict::Nothing
    }
}

/// Numbers out of bytes that are known to be there.
fn le(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// A header that passed, its sector and its entries if their CRC was right.
struct Found {
    header: Vec<u8>,
    lba: u64,
    entries: Option<Vec<u8>>,
}

fn find(disk: &Image, lba: u64) -> Option<Found> {
    let last = disk.sectors - 1;
    let size = u64::from(disk.sector_size);
    let header = disk.sector(lba)?;
    let covered = usize::try_from(le(&header[12..16])).ok()?;
    let mut unsigned = header
        .get(..covered)
        .filter(|bytes| bytes.len() >= 92)?
        .to_vec();
    unsigned[16..20].fill(0);
    let [own, other, first, end] = [24, 32, 40, 48].map(|at| le(&header[at..at + 8]));
    let table = le(&header[72..80]);
    let (count, width) = (le(&header[80..84]), le(&header[84..88]));
    let sectors = (count * width).div_ceil(size);
    let good = header.starts_with(b"EFI PART")
        && u64::from(crc32(&unsigned)) == le(&header[16..20])
        && le(&header[8..12]) >= 0x10000
        && own == lba
        && other != lba
        && other <= last
        && first >= 2
        && first <= end
        && end < last
        && !(first <= lba && lba <= end)
        && (1..=4096).contains(&count)
        && width >= 128
        && width % 8 == 0
        && count * width <= 512 << 10
        && table >= 2
        && table < last
        && table + sectors <= last
        && (table + sectors <= first || table > end);
    if !good {
        return None;
    }
    let mut entries = disk.read(table, sectors);
    if let Some(entries) = &mut entries {
        entries.truncate(usize::try_from(count * width).ok()?);
    }
    let entries = entries.filter(|entries| u64::from(crc32(entries)) == le(&header[88..92]));
    Some(Found {
        header,
        lba,
        entries,
    })
}

fn gpt(disk: &Image) -> Verdict {
    let last = disk.sectors - 1;
    let primary = find(disk, 1);
    let backup_lba = primary
        .as_ref()
        .map_or(last, |found| le(&found.header[32..40]));
    let backup = find(disk, backup_lba);
    let whole = |found: &Option<Found>| found.as_ref().is_some_and(|f| f.entries.is_some());
    let same = |a: &Found, b: &Found| {
        [8..16, 40..72, 80..92]
            .into_iter()
            .all(|range| a.header[range.clone()] == b.header[range])
    };
    let agree = match (&primary, &backup) {
        (Some(primary), Some(backup)) => same(primary, backup),
        _ => false,
    };
    let at_end = backup.as_ref().is_some_and(|found| found.lba == last);
    let corrupt = !(whole(&primary) && whole(&backup) && agree && at_end);
    let chosen = if whole(&primary) { primary } else { backup };
    let Some(Found {
        header,
        entries: Some(entries),
        ..
    }) = chosen
    else {
        return Verdict::RejectedGpt;
    };
    let width = usize::try_from(le(&header[84..88])).unwrap_or(usize::MAX);
    let mut places = Vec::new();
    for (index, entry) in (1..).zip(entries.chunks(width)) {
        if entry[..16] != [0; 16] {
            places.push((index, le(&entry[32..40]), le(&entry[40..48])));
        }
    }
    if sound(&places, le(&header[40..48]), le(&header[48..56])) {
        Verdict::Gpt(corrupt, places)
    } else {
        Verdict::RejectedGpt
    }
}

/// Whether all places are inside an area and none meets another.
fn sound(places: &[Place], first: u64, last: u64) -> bool {
    places.iter().enumerate().all(|(n, (_, a, b))| {
        let inside = first <= *a && a <= b && *b <= last;
        inside && places[..n].iter().all(|(_, c, d)| b < c || d < a)
    })
}

fn entries(record: &[u8]) -> Vec<(u8, u64, u64)> {
    let used = |slot: &&[u8]| slot[4] != 0 && slot[12..16] != [0; 4];
    let slots = record[446..510].chunks(16);
    slots
        .filter(used)
        .map(|s| (s[4], le(&s[8..12]), le(&s[12..16])))
        .collect()
}

fn is_link(kind: u8) -> bool {
    [0x05, 0x0f, 0x85].contains(&kind)
}

fn mbr(disk: &Image, boot: &[u8]) -> Verdict {
    let mut primary = Vec::new();
    let mut extended = Vec::new();
    for (index, slot) in (1..).zip(boot[446..510].chunks(16)) {
        let (first, size) = (le(&slot[8..12]), le(&slot[12..16]));
        if slot[4] != 0 && size != 0 {
            let place = (index, first, first + size - 1);
            if is_link(slot[4]) {
                extended.push(place)
            } else {
                primary.push(place)
            }
        }
    }
    if !sound(&[&primary[..], &extended].concat(), 1, disk.sectors - 1) {
        return Verdict::RejectedMbr;
    }
    let mut corrupt = false;
    let mut next = 5;
    for (_, first, last) in extended {
        let (logical, records, broken) = chain(disk, first, last, next);
        let all: Vec<Place> = records.iter().map(|lba| (0, *lba, *lba)).collect();
        let good = sound(&[&logical[..], &all].concat(), first, last);
        corrupt |= broken || !good;
        next += logical.len() as u32;
        if good {
            primary.extend(logical);
        }
    }
    Verdict::Mbr(corrupt, primary)
}

/// Logical partitions of a chain, its records, and whether it is broken somewhere.
fn chain(disk: &Image, first: u64, last: u64, index: u32) -> (Vec<Place>, Vec<u64>, bool) {
    let (mut logical, mut records, mut odd) = (Vec::new(), Vec::new(), false);
    let mut at = Some(first);
    while let Some(lba) = at {
        if lba < first || lba > last || records.contains(&lba) || records.len() == 128 {
            return (logical, records, true);
        }
        records.push(lba);
        let Some(record) = disk.sector(lba) else {
            return (logical, records, true);
        };
        if records.len() == 1 && record.iter().all(|byte| *byte == 0) {
            break;
        }
        let flags = record[446..510]
            .iter()
            .step_by(16)
            .all(|flag| flag & 0x7f == 0);
        if record[510..512] != [0x55, 0xaa] || !flags {
            return (logical, records, true);
        }
        let used = entries(&record);
        let data: Vec<_> = used.iter().filter(|(kind, ..)| !is_link(*kind)).collect();
        let links: Vec<_> = used.iter().filter(|(kind, ..)| is_link(*kind)).collect();
        odd |= data.len() > 1 || links.len() > 1;
        if let Some((_, start, size)) = data.first() {
            let number = index + logical.len() as u32;
            logical.push((number, lba + start, lba + start + size - 1));
        }
        at = links.first().map(|(_, start, _)| first + start);
    }
    (logical, records, odd)
}
