//! The chain of logical partitions in an extended one.
//!
//! Each link is a boot record of its own with at most one partition, counted from the record, and
//! at most one link to the next record, counted from the start of the extended partition. A chain
//! that breaks keeps the partitions before the break, as Linux does; a partition that is impossible
//! spoils its whole chain, as FreeBSD's integrity check does.

use super::mbr::{Entry, Record};
use super::reason::{ChainFault, EntryFault, Reason};
use super::table::{Claim, Partition, lay_out};
use crate::media::{Media, Need};
use alloc::vec::Vec;

/// Number of the first logical partition.
pub const FIRST_INDEX: u32 = 5;
/// The most records we follow in one extended partition.
pub const RECORDS_MAX: usize = 128;

/// What a chain gave.
pub(super) struct Chain {
    pub(super) partitions: Vec<Partition>,
    pub(super) reasons: Vec<Reason>,
    /// The number for the first partition of the next chain.
    pub(super) next_index: u32,
}

/// Follows the chain in `extended`, whose partitions are numbered from `index`. The extended
/// partition must lie inside the media.
pub(super) fn follow(media: &Media, extended: &Claim, index: u32) -> Result<Chain, Need> {
    let mut walk = Walk {
        extended,
        records: Vec::new(),
        claims: Vec::new(),
        reasons: Vec::new(),
    };
    let mut next = Some(extended.first);
    while let Some(lba) = next {
        next = match walk.step(media, lba, index)? {
            Ok(next) => next,
            Err(fault) => {
                walk.fault(fault);
                None
            }
        };
    }
    Ok(walk.finish(media, index))
}

struct Walk<'a> {
    extended: &'a Claim,
    records: Vec<u64>,
    claims: Vec<Claim>,
    reasons: Vec<Reason>,
}

impl Walk<'_> {
    /// Takes in the record at `lba` and returns where the next one is.
    fn step(
        &mut self,
        media: &Media,
        lba: u64,
        index: u32,
    ) -> Result<Result<Option<u64>, ChainFault>, Need> {
        if !(self.extended.first..=self.extended.last).contains(&lba) {
            return Ok(Err(ChainFault::Outside(lba)));
        }
        if self.records.contains(&lba) {
            return Ok(Err(ChainFault::Loop(lba)));
        }
        if self.records.len() == RECORDS_MAX {
            return Ok(Err(ChainFault::TooLong));
        }
        self.records.push(lba); // whether or not there is one: a link makes the sector the table's
        let sector = match media.read_sector(lba)? {
            Ok(sector) => sector,
            Err(why) => return Ok(Err(ChainFault::Unreadable(lba, why))),
        };
        if self.records.len() == 1 && sector.iter().all(|byte| *byte == 0) {
            return Ok(Ok(None)); // made, but never given a logical partition
        }
        let Some(record) = Record::decode(&sector).filter(Record::has_valid_flags) else {
            return Ok(Err(ChainFault::NoRecord(lba)));
        };
        Ok(Ok(self.take(&record, lba, index)))
    }

    fn take(&mut self, record: &Record, lba: u64, index: u32) -> Option<u64> {
        let (links, data): (Vec<Entry>, Vec<Entry>) = record
            .entries
            .iter()
            .filter(|e| e.is_used())
            .partition(|e| e.is_extended());
        if links.len() > 1 || data.len() > 1 {
            self.fault(ChainFault::ExtraEntries(lba));
        }
        if let Some(entry) = data.first() {
            let number = index + self.claims.len() as u32;
            self.claims.push(entry.claim(number, lba));
        }
        links
            .first()
            .map(|link| self.extended.first + u64::from(link.start))
    }

    fn fault(&mut self, fault: ChainFault) {
        self.reasons.push(Reason::Chain {
            extended: self.extended.index,
            fault,
        });
    }

    /// Checks the partitions against each other and against the records between them: whoever may
    /// write a partition must not be able to write the table.
    fn finish(mut self, media: &Media, index: u32) -> Chain {
        let next_index = index + self.claims.len() as u32;
        let records = self.records.iter().map(|lba| {
            let record = Entry {
                size: 1,
                ..Entry::default()
            };
            record.claim(0, *lba)
        });
        let claims = records.chain(self.claims).collect();
        let area = self.extended.first..=self.extended.last;
        let partitions = match lay_out(claims, area, media.sector_size()) {
            Ok(all) => all
                .into_iter()
                .filter(|partition| partition.index != 0)
                .collect(),
            Err(faults) => {
                let extended = self.extended.index;
                let all = faults.into_iter().map(|fault| logical(extended, fault));
                self.reasons.extend(all);
                Vec::new()
            }
        };
        Chain {
            partitions,
            reasons: self.reasons,
            next_index,
        }
    }
}

/// A fault as told to the user: a record that lies in a partition is that partition's fault.
fn logical(extended: u32, (index, fault): (u32, EntryFault)) -> Reason {
    match fault {
        EntryFault::Overlaps(other) if index == 0 => Reason::Logical {
            extended,
            index: other,
            fault: EntryFault::Overlaps(0),
        },
        fault => Reason::Logical {
            extended,
            index,
            fault,
        },
    }
}
