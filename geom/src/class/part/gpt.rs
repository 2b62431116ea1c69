//! Both copies of a GPT, and which of them counts (FreeBSD's `g_part_gpt_read`).

use super::entry;
use super::guid::Guid;
use super::header::Header;
use super::reason::{CopyFault, Place, Reason};
use super::table::{DiskId, Scheme, State, Table, lay_out};
use crate::media::{Media, Need};
use alloc::vec::Vec;

/// Fewer sectors than this cannot hold a GPT: PMBR, two headers, two tables, one sector of data.
pub const SECTORS_MIN: u64 = 6;

/// One good copy: a checked header, and entries with the right CRC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The header.
    pub header: Header,
    /// All its entries, as on disk.
    pub table: Vec<u8>,
}

/// What was found in the two places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copies {
    /// At sector 1.
    pub primary: Result<Copy, CopyFault>,
    /// Where a good primary header says, otherwise in the last sector.
    pub backup: Result<Copy, CopyFault>,
}

impl Copies {
    /// Reads both copies and compares them.
    ///
    /// If both are good but not of the same table, the backup is refused as [`CopyFault::Differs`].
    ///
    /// # Errors
    /// What must be read first.
    pub fn load(media: &Media) -> Result<Self, Need> {
        let last = media.sector_count().saturating_sub(1);
        let primary_header = Header::load(media, 1)?;
        let backup_lba = primary_header
            .as_ref()
            .map_or(last, |header| header.other_lba);
        let primary = with_table(primary_header, media)?;
        let backup = with_table(Header::load(media, backup_lba)?, media)?;
        let backup = match (&primary, backup) {
            (Ok(one), Ok(two)) if !one.header.matches(&two.header) => Err(CopyFault::Differs),
            (_, backup) => backup,
        };
        Ok(Self { primary, backup })
    }

    /// The copy that counts: the primary if it is good.
    #[must_use]
    pub fn chosen(&self) -> Option<&Copy> {
        self.primary.as_ref().or(self.backup.as_ref()).ok()
    }

    fn reasons(&self, last: u64) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let sides = [
            (Place::Primary, &self.primary, self.backup.is_ok()),
            (Place::Backup, &self.backup, self.primary.is_ok()),
        ];
        for (place, copy, other_used) in sides {
            if let Err(fault) = copy {
                reasons.push(Reason::Copy {
                    place,
                    fault: *fault,
                    other_used,
                });
            }
        }
        if let Ok(Copy { header, .. }) = &self.backup
            && header.own_lba != last
        {
            reasons.push(Reason::BackupNotLast {
                lba: header.own_lba,
                last,
            });
        }
        reasons
    }
}

/// The table of a media on which a GPT header was seen. Without one good copy it is rejected.
///
/// # Errors
/// What must be read first.
pub fn parse(media: &Media) -> Result<Table, Need> {
    let copies = Copies::load(media)?;
    let mut reasons = copies.reasons(media.sector_count().saturating_sub(1));
    let Some(Copy { header, table }) = copies.chosen() else {
        return Ok(Table::rejected(
            Scheme::Gpt,
            DiskId::Gpt(Guid::UNUSED),
            reasons,
        ));
    };
    let disk = DiskId::Gpt(header.disk);
    let entries = table.chunks_exact(header.entry_size as usize);
    let claims = (1..)
        .zip(entries)
        .filter_map(|(index, bytes)| entry::decode(bytes, index));
    let area = header.first_usable..=header.last_usable;
    match lay_out(claims.collect(), area, media.sector_size()) {
        Ok(partitions) => {
            let state = if reasons.is_empty() {
                State::Ok
            } else {
                State::Corrupt
            };
            Ok(Table::new(Scheme::Gpt, disk, partitions, reasons, state))
        }
        Err(faults) => {
            let scheme = Scheme::Gpt;
            let all = faults.into_iter().map(|(index, fault)| Reason::Entry {
                scheme,
                index,
                fault,
            });
            reasons.splice(0..0, all);
            Ok(Table::rejected(scheme, disk, reasons))
        }
    }
}

fn with_table(
    header: Result<Header, CopyFault>,
    media: &Media,
) -> Result<Result<Copy, CopyFault>, Need> {
    Ok(match header {
        Err(fault) => Err(fault),
        Ok(header) => header
            .load_table(media)?
            .map(|table| Copy { header, table }),
    })
}
