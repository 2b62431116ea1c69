//! The validated result of a parse: scheme, state, partitions.

use super::guid::{Guid, PartitionType};
use super::reason::{EntryFault, Reason};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

/// How many reasons a table keeps; a hostile one could have thousands.
const REASONS_MAX: usize = 16;

/// A way to divide a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// GUID partition table.
    Gpt,
    /// Master boot record.
    Mbr,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gpt => "GPT",
            Self::Mbr => "MBR",
        })
    }
}

/// How far a table can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is wrong with it.
    Ok,
    /// Its partitions are usable, but a part of it is damaged. Only recovery should write to it.
    Corrupt,
    /// It is a table, but not one that can be believed: it has no partitions.
    Rejected,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::Corrupt => "CORRUPT",
            Self::Rejected => "REJECTED",
        })
    }
}

/// What a table calls its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskId {
    /// GUID in the GPT header.
    Gpt(Guid),
    /// The 32 bits at offset 440 of the MBR.
    Mbr(u32),
}

/// One partition of an accepted table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1; logical partitions of an MBR count from 5.
    pub index: u32,
    /// First byte, counted from the start of the media; a multiple of the sector size.
    pub start: u64,
    /// Number of bytes; a multiple of the sector size, never 0.
    pub length: u64,
    /// What it says it holds.
    pub kind: PartitionType,
    /// GPT label, with whatever is not printable replaced by U+FFFD. Empty on an MBR.
    pub label: String,
    /// GPT's GUID of this one partition.
    pub uuid: Option<Guid>,
    /// GPT attribute bits; 0 on an MBR.
    pub attributes: u64,
    /// The MBR's active flag, or GPT's legacy BIOS bootable attribute.
    pub active: bool,
}

impl Partition {
    /// The byte after the last one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.length
    }
}

/// A partition table as it was found. Can only be made by the parsers, which hold these laws: each
/// partition lies inside the area its table governs and inside the media, is made of whole sectors,
/// and shares none with another; indexes are unique and ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    scheme: Scheme,
    state: State,
    disk: DiskId,
    reasons: Vec<Reason>,
    partitions: Vec<Partition>,
}

impl Table {
    /// The table's scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// How far it can be trusted.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What it calls the disk. Zero if it was rejected before that was known.
    #[must_use]
    pub fn disk(&self) -> DiskId {
        self.disk
    }

    /// What is wrong with it, the most important first; at most 18. Each prints as one line.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// Its partitions by ascending index; none if it was rejected.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    pub(super) fn new(
        scheme: Scheme,
        disk: DiskId,
        mut partitions: Vec<Partition>,
        reasons: Vec<Reason>,
        state: State,
    ) -> Self {
        partitions.sort_by_key(|partition| partition.index);
        Self {
            scheme,
            state,
            disk,
            reasons: at_most(reasons),
            partitions,
        }
    }

    /// Adds something worth telling that does not make the table worse.
    pub(super) fn with_note(mut self, note: Reason) -> Self {
        self.reasons.push(note);
        self
    }

    pub(super) fn rejected(scheme: Scheme, disk: DiskId, reasons: Vec<Reason>) -> Self {
        Self::new(scheme, disk, Vec::new(), reasons, State::Rejected)
    }
}

/// A partition as the disk describes it, in sectors, before anything was checked.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) index: u32,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) kind: PartitionType,
    pub(super) label: String,
    pub(super) uuid: Option<Guid>,
    pub(super) attributes: u64,
    pub(super) active: bool,
}

impl Claim {
    fn grant(self, sector_size: u32) -> Partition {
        let size = u64::from(sector_size);
        Partition {
            index: self.index,
            start: self.first * size,
            length: (self.last - self.first + 1) * size,
            kind: self.kind,
            label: self.label,
            uuid: self.uuid,
            attributes: self.attributes,
            active: self.active,
        }
    }
}

/// Checks claims against the area their table governs and against each other. One bad claim spoils
/// all, as with FreeBSD's `kern.geom.part.check_integrity`: a table that lies once may lie twice.
///
/// `area` must lie inside the media.
pub(super) fn lay_out(
    mut claims: Vec<Claim>,
    area: RangeInclusive<u64>,
    sector_size: u32,
) -> Result<Vec<Partition>, Vec<(u32, EntryFault)>> {
    let mut faults = Vec::new();
    for claim in &claims {
        if claim.last < claim.first {
            faults.push((claim.index, EntryFault::EndBeforeStart));
        } else if !area.contains(&claim.first) || !area.contains(&claim.last) {
            let outside = EntryFault::Outside(*area.start(), *area.end());
            faults.push((claim.index, outside));
        }
    }
    claims.sort_by_key(|claim| (claim.first, claim.index));
    let mut furthest: Option<(u64, u32)> = None;
    for claim in &claims {
        match furthest {
            Some((last, other)) if claim.first <= last => {
                faults.push((claim.index, EntryFault::Overlaps(other)));
            }
            _ => {}
        }
        if furthest.is_none_or(|(last, _)| claim.last > last) {
            furthest = Some((claim.last, claim.index));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(claims
        .into_iter()
        .map(|claim| claim.grant(sector_size))
        .collect())
}

fn at_most(mut reasons: Vec<Reason>) -> Vec<Reason> {
    if reasons.len() > REASONS_MAX {
        let more = reasons.len() - REASONS_MAX;
        reasons.truncate(REASONS_MAX);
        reasons.push(Reason::More(more));
    }
    reasons
}
