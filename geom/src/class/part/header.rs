//! One GPT header: decode, check, encode (UEFI specification, "GUID Partition Table Header").

use super::guid::Guid;
use super::le;
use super::reason::CopyFault;
use crate::media::{Media, Need};
use alloc::vec::Vec;

/// First eight bytes of a header.
pub const SIGNATURE: [u8; 8] = *b"EFI PART";
/// The largest number of entries we accept, as FreeBSD.
pub const ENTRIES_MAX: u32 = 4096;
/// The largest array of entries we read, in bytes: 4096 entries of the smallest size.
pub const TABLE_MAX: u64 = 512 << 10;

const REVISION_1_0: u32 = 0x0001_0000;
const SIZE_MIN: u32 = 92;
const ENTRY_SIZE_MIN: u32 = 128;
const AT_CRC: usize = 16;

/// The fields of a header whose CRC was right and whose numbers are possible on its media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Revision, 0x10000 for 1.0.
    pub revision: u32,
    /// Bytes that the CRC covers.
    pub size: u32,
    /// The sector it is in.
    pub own_lba: u64,
    /// The sector the other copy is in.
    pub other_lba: u64,
    /// First sector for partitions.
    pub first_usable: u64,
    /// Last sector for partitions.
    pub last_usable: u64,
    /// GUID of the disk.
    pub disk: Guid,
    /// First sector of the entries that belong to this copy.
    pub table_lba: u64,
    /// Number of entries, used or not.
    pub entries: u32,
    /// Bytes in one entry.
    pub entry_size: u32,
    /// CRC-32 of all entries.
    pub table_crc: u32,
}

impl Header {
    /// Reads and checks the header at `lba`.
    ///
    /// # Errors
    /// The outer error is what must be read first, the inner one why this is no usable header.
    pub fn load(media: &Media, lba: u64) -> Result<Result<Self, CopyFault>, Need> {
        Ok(match media.read_sector(lba)? {
            Err(why) => Err(CopyFault::HeaderUnreadable(why)),
            Ok(sector) => Self::decode(&sector, lba, media),
        })
    }

    /// Bytes of all entries together.
    #[must_use]
    pub fn table_size(&self) -> u64 {
        u64::from(self.entries) * u64::from(self.entry_size)
    }

    /// Sectors that the entries take.
    #[must_use]
    pub fn table_sectors(&self, sector_size: u32) -> u64 {
        self.table_size().div_ceil(u64::from(sector_size))
    }

    /// Reads the entries and compares their CRC.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_table(&self, media: &Media) -> Result<Result<Vec<u8>, CopyFault>, Need> {
        let size = u64::from(media.sector_size());
        let sectors = self.table_sectors(media.sector_size());
        let mut table = match media.read(self.table_lba * size, sectors * size)? {
            Err(why) => return Ok(Err(CopyFault::TableUnreadable(why))),
            Ok(bytes) => bytes,
        };
        table.truncate(usize::try_from(self.table_size()).unwrap_or(0));
        let good = crc32fast::hash(&table) == self.table_crc;
        Ok(if good {
            Ok(table)
        } else {
            Err(CopyFault::TableCrc)
        })
    }

    /// Whether two good headers describe the same table.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let same = |h: &Self| {
            (
                h.revision,
                h.size,
                h.first_usable,
                h.last_usable,
                h.disk,
                h.entries,
                h.entry_size,
            )
        };
        same(self) == same(other) && self.table_crc == other.table_crc
    }

    /// The header as one sector, CRC included. What follows the known 92 bytes is zero.
    #[must_use]
    pub fn encode(&self, sector_size: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(sector_size as usize);
        bytes.extend_from_slice(&SIGNATURE);
        bytes.extend_from_slice(&self.revision.to_le_bytes());
        bytes.extend_from_slice(&self.size.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]); // CRC, put in below, and the reserved word
        for lba in [
            self.own_lba,
            self.other_lba,
            self.first_usable,
            self.last_usable,
        ] {
            bytes.extend_from_slice(&lba.to_le_bytes());
        }
        bytes.extend_from_slice(&self.disk.0);
        bytes.extend_from_slice(&self.table_lba.to_le_bytes());
        for word in [self.entries, self.entry_size, self.table_crc] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.resize(sector_size as usize, 0);
        let covered = bytes.get(..self.size as usize).unwrap_or(&bytes);
        let crc = crc32fast::hash(covered).to_le_bytes();
        bytes[AT_CRC..AT_CRC + 4].copy_from_slice(&crc);
        bytes
    }

    fn decode(sector: &[u8], lba: u64, media: &Media) -> Result<Self, CopyFault> {
        if !sector.starts_with(&SIGNATURE) {
            return Err(CopyFault::NoHeader);
        }
        let (header, crc) = Self::fields(sector).ok_or(CopyFault::NoHeader)?;
        let covered = sector.get(..header.size as usize);
        let covered = covered.filter(|_| header.size >= SIZE_MIN);
        let covered = covered.ok_or(CopyFault::HeaderSize(header.size))?;
        if crc_of(covered) != crc {
            return Err(CopyFault::HeaderCrc);
        }
        header.check(lba, media)?;
        Ok(header)
    }

    /// The fields as they are, and the CRC beside them.
    fn fields(sector: &[u8]) -> Option<(Self, u32)> {
        let header = Self {
            revision: le::u32_at(sector, 8)?,
            size: le::u32_at(sector, 12)?,
            own_lba: le::u64_at(sector, 24)?,
            other_lba: le::u64_at(sector, 32)?,
            first_usable: le::u64_at(sector, 40)?,
            last_usable: le::u64_at(sector, 48)?,
            disk: Guid::at(sector, 56)?,
            table_lba: le::u64_at(sector, 72)?,
            entries: le::u32_at(sector, 80)?,
            entry_size: le::u32_at(sector, 84)?,
            table_crc: le::u32_at(sector, 88)?,
        };
        Some((header, le::u32_at(sector, AT_CRC)?))
    }

    /// FreeBSD's rules of `gpt_read_hdr`, and one more: a header never lies in its own usable area,
    /// where whoever may write a partition could forge it.
    fn check(&self, lba: u64, media: &Media) -> Result<(), CopyFault> {
        let last = media.sector_count().saturating_sub(1);
        if self.revision < REVISION_1_0 {
            return Err(CopyFault::Revision(self.revision));
        }
        if self.own_lba != lba {
            return Err(CopyFault::OwnLba(self.own_lba));
        }
        if self.other_lba == lba || self.other_lba > last {
            return Err(CopyFault::OtherLba(self.other_lba));
        }
        let usable = self.first_usable..=self.last_usable;
        if self.first_usable < 2
            || usable.is_empty()
            || self.last_usable >= last
            || usable.contains(&lba)
        {
            let (first, last) = (self.first_usable, self.last_usable);
            return Err(CopyFault::UsableArea { first, last });
        }
        if self.entries == 0 || self.entries > ENTRIES_MAX {
            return Err(CopyFault::EntryCount(self.entries));
        }
        if self.entry_size < ENTRY_SIZE_MIN || !self.entry_size.is_multiple_of(8) {
            return Err(CopyFault::EntrySize(self.entry_size));
        }
        if self.table_size() > TABLE_MAX {
            return Err(CopyFault::TableSize(self.table_size()));
        }
        let fits = self.table_lba >= 2 && self.table_lba < last && {
            let table_last = self.table_lba + self.table_sectors(media.sector_size()) - 1;
            let apart = table_last < self.first_usable || self.table_lba > self.last_usable;
            table_last < last && apart
        };
        if fits {
            Ok(())
        } else {
            Err(CopyFault::TableLba(self.table_lba))
        }
    }
}

/// The CRC-32 of a header's bytes, its own CRC field counted as zero.
fn crc_of(covered: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(covered.get(..AT_CRC).unwrap_or(&[]));
    crc.update(&[0; 4]);
    crc.update(covered.get(AT_CRC + 4..).unwrap_or(&[]));
    crc.finalize()
}
