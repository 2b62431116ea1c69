//! Which scheme a media carries, and the whole parse in one call.

use super::header::SIGNATURE;
use super::mbr::Record;
use super::reason::Reason;
use super::table::{Scheme, Table};
use super::{gpt, mbr};
use crate::media::{Media, Need};

/// Bytes of entries in a GPT of the usual size (128 entries of 128 bytes).
const USUAL_ENTRIES: u64 = 16 << 10;

/// The partition table of a media, or `None` if it has none. `within` is the scheme of the table
/// whose partition the media is, if it is one.
///
/// FreeBSD's order: a GPT whose MBR protects it; a plain MBR, because it was written later by
/// something that did not know of the GPT beside it; a GPT with no MBR. No MBR inside an MBR: that
/// is what extended partitions are for.
///
/// Two differences. An MBR that does nothing but protect a GPT is never taken for an MBR with one
/// useless partition: it is a GPT that lost both its copies. And in an MBR that protects a GPT and
/// has partitions too, what lies in those is not taken for a GPT header: whoever may write a
/// partition must not be able to write the table.
///
/// Run it again from the start after each [`Need`] was met or failed; it ends after a bounded
/// number of them, because each concerns sectors that were not known before.
///
/// # Errors
/// What must be read first.
pub fn parse(media: &Media, within: Option<Scheme>) -> Result<Option<Table>, Need> {
    let sector_size = u64::from(media.sector_size());
    read_ahead(media, 0, 2 * sector_size + USUAL_ENTRIES)?;
    let Ok(sector) = media.read_sector(0)? else {
        return Ok(None);
    };
    let boot = Record::decode(&sector);
    let plain = mbr::recognise(&sector)
        .filter(|_| within != Some(Scheme::Mbr) && media.sector_size() <= mbr::SECTOR_SIZE_MAX);
    let protective = boot.is_some_and(|boot| boot.is_protective());
    let room = media.sector_count() >= gpt::SECTORS_MIN;
    let primary = room && has_signature(media, 1)?;
    let free = |lba| !plain.is_some_and(|record| record.covers(lba));
    if let Some(record) = plain.filter(|_| !protective) {
        let table = mbr::parse(media, &record)?;
        return Ok(Some(if primary {
            table.with_note(Reason::GptIgnored)
        } else {
            table
        }));
    }
    if primary {
        let tail = sector_size + USUAL_ENTRIES;
        read_ahead(media, media.size().saturating_sub(tail), tail)?;
    }
    let last = media.sector_count().saturating_sub(1);
    let seen = primary && free(1) || room && free(last) && has_signature(media, last)?;
    match plain {
        _ if seen => gpt::parse(media).map(Some),
        Some(record) if record.has_partitions() || !room => mbr::parse(media, &record).map(Some),
        Some(_) => gpt::parse(media).map(Some),
        None => Ok(None),
    }
}

/// Whether reading ahead works does not matter; who needs the bytes will see.
fn read_ahead(media: &Media, offset: u64, length: u64) -> Result<(), Need> {
    let end = media.size().min(offset.saturating_add(length));
    media
        .read_ahead(offset, end.saturating_sub(offset))
        .map(|_| ())
}

fn has_signature(media: &Media, lba: u64) -> Result<bool, Need> {
    Ok(media
        .read_sector(lba)?
        .is_ok_and(|sector| sector.starts_with(&SIGNATURE)))
}
