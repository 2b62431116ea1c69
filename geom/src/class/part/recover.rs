//! The writes that make both copies of a GPT good again (`gpart recover`). Nothing here writes:
//! recovery is the decision of whoever asks for it.

use super::gpt::{Copies, Copy};
use super::header::Header;
use super::mbr::{PROTECTIVE, Record};
use super::parse::parse;
use super::table::{Scheme, State};
use crate::media::{Media, Need};
use alloc::vec::Vec;
use core::fmt;

/// Bytes to be written at an offset; both are whole sectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where, counted in bytes from the start of the media.
    pub offset: u64,
    /// What.
    pub bytes: Vec<u8>,
}

/// Why a media cannot be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecoverable {
    /// It carries no GPT, or none with a good copy and possible partitions.
    NoGoodCopy,
    /// The entries do not fit before or behind the partitions.
    NoRoom,
}

impl fmt::Display for Unrecoverable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoGoodCopy => "no good copy of a GPT to recover from",
            Self::NoRoom => "the entries do not fit beside the partitions",
        })
    }
}

impl core::error::Error for Unrecoverable {}

/// The writes, in the order in which they must be made: the copy that does not count first, so that
/// a good one exists at every moment. Empty if nothing is wrong. The usable area grows to the end
/// of a disk that has grown.
///
/// # Errors
/// The outer error is what must be read first.
pub fn recover(media: &Media) -> Result<Result<Vec<Write>, Unrecoverable>, Need> {
    let table = parse(media, None)?;
    let table = table.filter(|t| t.scheme() == Scheme::Gpt && t.state() != State::Rejected);
    let Some(table) = table else {
        return Ok(Err(Unrecoverable::NoGoodCopy));
    };
    if table.state() == State::Ok {
        return Ok(Ok(Vec::new()));
    }
    let copies = Copies::load(media)?;
    let Some(good) = copies.chosen() else {
        return Ok(Err(Unrecoverable::NoGoodCopy));
    };
    let Some((primary, backup)) = headers(good, media) else {
        return Ok(Err(Unrecoverable::NoRoom));
    };
    let primary = copy_writes(&primary, &good.table, media.sector_size());
    let backup = copy_writes(&backup, &good.table, media.sector_size());
    let (first, second) = if copies.primary.is_ok() {
        (backup, primary)
    } else {
        (primary, backup)
    };
    let mut writes: Vec<Write> = first.into_iter().chain(second).collect();
    writes.extend(protection(media)?);
    Ok(Ok(writes))
}

/// Both headers as they should be, or `None` if the entries do not fit.
fn headers(good: &Copy, media: &Media) -> Option<(Header, Header)> {
    let last = media.sector_count().checked_sub(1)?;
    let sectors = good.header.table_sectors(media.sector_size());
    let backup_table = last.checked_sub(sectors)?;
    let last_usable = backup_table.checked_sub(1)?;
    let kept = if good.header.own_lba == 1 {
        good.header.table_lba
    } else {
        2
    };
    let before = kept + sectors <= good.header.first_usable;
    if !before || last_usable < good.header.last_usable {
        return None;
    }
    let primary = Header {
        own_lba: 1,
        other_lba: last,
        table_lba: kept,
        last_usable,
        ..good.header.clone()
    };
    let backup = Header {
        own_lba: last,
        other_lba: 1,
        table_lba: backup_table,
        ..primary.clone()
    };
    Some((primary, backup))
}

/// Entries first: a header is only written when what it describes is there.
fn copy_writes(header: &Header, table: &[u8], sector_size: u32) -> [Write; 2] {
    let size = u64::from(sector_size);
    let mut entries = table.to_vec();
    entries.resize(entries.len().next_multiple_of(sector_size as usize), 0);
    [
        Write {
            offset: header.table_lba * size,
            bytes: entries,
        },
        Write {
            offset: header.own_lba * size,
            bytes: header.encode(sector_size),
        },
    ]
}

/// A protective MBR where there is none; boot code before it stays.
fn protection(media: &Media) -> Result<Option<Write>, Need> {
    let Ok(mut sector) = media.read_sector(0)? else {
        return Ok(None);
    };
    if Record::decode(&sector).is_some_and(|record| record.is_protective()) {
        return Ok(None);
    }
    let size = u32::try_from(media.sector_count() - 1).unwrap_or(u32::MAX);
    let mut entries = [0; 66];
    entries[..8].copy_from_slice(&[0, 0, 2, 0, PROTECTIVE, 0xff, 0xff, 0xff]);
    entries[8..12].copy_from_slice(&1u32.to_le_bytes());
    entries[12..16].copy_from_slice(&size.to_le_bytes());
    entries[64..].copy_from_slice(&[0x55, 0xaa]);
    if let Some(place) = sector.get_mut(446..512) {
        place.copy_from_slice(&entries);
    }
    Ok(Some(Write {
        offset: 0,
        bytes: sector,
    }))
}
