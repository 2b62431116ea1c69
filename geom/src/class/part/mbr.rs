//! The four primary partitions of a master boot record.
//!
//! Numbers count in sectors of the media, whatever their size, and have 32 bits. An extended
//! partition is a container: its logical partitions are partitions of this table (numbers from 5),
//! it is none itself, so that no two providers share a sector.

use super::ebr;
use super::guid::PartitionType;
use super::le;
use super::reason::Reason;
use super::table::{Claim, DiskId, Scheme, State, Table, lay_out};
use crate::media::{Media, Need};
use alloc::string::String;
use alloc::vec::Vec;

/// The largest sector FreeBSD accepts an MBR on, in bytes.
pub const SECTOR_SIZE_MAX: u32 = 4096;
/// Type of the entry that protects a GPT.
pub const PROTECTIVE: u8 = 0xee;

const AT_DISK_ID: usize = 440;
const AT_ENTRIES: usize = 446;
const ENTRY_SIZE: usize = 16;
const AT_MAGIC: usize = 510;
const ACTIVE: u8 = 0x80;

/// One of the four entries of a boot record, as on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// 80h marks the active partition.
    pub flag: u8,
    /// Type byte; 0 is unused.
    pub kind: u8,
    /// First sector. What it is counted from depends on the record.
    pub start: u32,
    /// Number of sectors.
    pub size: u32,
}

impl Entry {
    /// Whether it describes anything.
    #[must_use]
    pub fn is_used(self) -> bool {
        self.kind != 0 && self.size != 0
    }

    /// Whether it is the container of logical partitions, or a link in their chain.
    #[must_use]
    pub fn is_extended(self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }

    /// What it describes, counted from sector `base`.
    pub(super) fn claim(self, index: u32, base: u64) -> Claim {
        let first = base + u64::from(self.start);
        Claim {
            index,
            first,
            last: first + u64::from(self.size).saturating_sub(1),
            kind: PartitionType::Mbr(self.kind),
            label: String::new(),
            uuid: None,
            attributes: 0,
            active: self.flag == ACTIVE,
        }
    }
}

/// A sector that ends in 55 AA (at byte 510, whatever its size) and has four entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Disk identifier at byte 440.
    pub disk: u32,
    /// The entries.
    pub entries: [Entry; 4],
}

impl Record {
    /// The record in a sector, or `None` without 55 AA.
    #[must_use]
    pub fn decode(sector: &[u8]) -> Option<Self> {
        if le::u16_at(sector, AT_MAGIC)? != 0xaa55 {
            return None;
        }
        let mut entries = [Entry::default(); 4];
        for (number, entry) in entries.iter_mut().enumerate() {
            let at = AT_ENTRIES + number * ENTRY_SIZE;
            *entry = Entry {
                flag: *sector.get(at)?,
                kind: *sector.get(at + 4)?,
                start: le::u32_at(sector, at + 8)?,
                size: le::u32_at(sector, at + 12)?,
            };
        }
        Some(Self {
            disk: le::u32_at(sector, AT_DISK_ID)?,
            entries,
        })
    }

    /// Whether every flag is 0 or 80h, which code or text in a boot sector seldom has.
    #[must_use]
    pub fn has_valid_flags(&self) -> bool {
        self.entries
            .iter()
            .all(|entry| matches!(entry.flag, 0 | ACTIVE))
    }

    /// Whether an entry protects a GPT.
    #[must_use]
    pub fn is_protective(&self) -> bool {
        self.entries.iter().any(|entry| entry.kind == PROTECTIVE)
    }

    /// Whether an entry describes anything other than the protection of a GPT.
    #[must_use]
    pub fn has_partitions(&self) -> bool {
        self.partitions().next().is_some()
    }

    /// Whether a sector belongs to one of its partitions, and not to the protection of a GPT.
    #[must_use]
    pub fn covers(&self, lba: u64) -> bool {
        self.partitions().any(|entry| {
            let first = u64::from(entry.start);
            (first..first + u64::from(entry.size)).contains(&lba)
        })
    }

    fn partitions(&self) -> impl Iterator<Item = Entry> {
        let used = |entry: &Entry| entry.is_used() && entry.kind != PROTECTIVE;
        self.entries.into_iter().filter(used)
    }
}

/// Whether sector 0 is an MBR by FreeBSD's rules: 55 AA, flags 0 or 80h, and not the boot sector of
/// a file system (an empty table behind a BIOS parameter block).
#[must_use]
pub fn recognise(sector: &[u8]) -> Option<Record> {
    let record = Record::decode(sector).filter(Record::has_valid_flags)?;
    let table = sector.get(AT_ENTRIES..AT_MAGIC)?;
    let empty = table.iter().all(|byte| *byte == 0);
    if empty && has_bpb(sector) {
        None
    } else {
        Some(record)
    }
}

/// A BIOS parameter block: plausible bytes per sector and sectors per cluster.
fn has_bpb(sector: &[u8]) -> bool {
    let sector_size = le::u16_at(sector, 11).unwrap_or(0);
    let cluster = sector.get(13).copied().unwrap_or(0);
    sector_size.is_power_of_two()
        && (512..=4096).contains(&sector_size)
        && cluster.is_power_of_two()
}

/// The table that begins with `record` in sector 0.
///
/// # Errors
/// What must be read first.
pub fn parse(media: &Media, record: &Record) -> Result<Table, Need> {
    let disk = DiskId::Mbr(record.disk);
    let numbered = || {
        (1u32..)
            .zip(record.entries)
            .filter(|(_, entry)| entry.is_used())
    };
    let claims = numbered()
        .map(|(index, entry)| entry.claim(index, 0))
        .collect();
    let area = 1..=media.sector_count().saturating_sub(1);
    let mut partitions = match lay_out(claims, area, media.sector_size()) {
        Ok(partitions) => partitions,
        Err(faults) => {
            let scheme = Scheme::Mbr;
            let all = faults.into_iter();
            let all = all.map(|(index, fault)| Reason::Entry {
                scheme,
                index,
                fault,
            });
            return Ok(Table::rejected(scheme, disk, all.collect()));
        }
    };
    let mut reasons = Vec::new();
    let mut next = ebr::FIRST_INDEX;
    for (extended, entry) in numbered().filter(|(_, entry)| entry.is_extended()) {
        partitions.retain(|partition| partition.index != extended);
        let chain = ebr::follow(media, &entry.claim(extended, 0), next)?;
        next = chain.next_index;
        partitions.extend(chain.partitions);
        reasons.extend(chain.reasons);
    }
    let state = if reasons.is_empty() {
        State::Ok
    } else {
        State::Corrupt
    };
    Ok(Table::new(Scheme::Mbr, disk, partitions, reasons, state))
}
