//! Everything that can be wrong with a partition table, as text for the console.

use super::table::Scheme;
use crate::media::Unreadable;
use core::fmt;

/// One of the two places where a GPT is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Sector 1 and the entries it names.
    Primary,
    /// The last sector of the disk and the entries it names.
    Backup,
}

impl Place {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Primary => Self::Backup,
            Self::Backup => Self::Primary,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        })
    }
}

/// What is wrong with one copy of a GPT. All sector numbers are LBAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFault {
    /// The signature `EFI PART` is not there.
    NoHeader,
    /// The header's sector was not read.
    HeaderUnreadable(Unreadable),
    /// The header claims a size that is not from 92 bytes to one sector.
    HeaderSize(u32),
    /// The header's own CRC-32 does not match its bytes.
    HeaderCrc,
    /// The header's revision is below 1.0.
    Revision(u32),
    /// The header says it belongs into this sector, which is not where it was found.
    OwnLba(u64),
    /// The header says its other copy is in this sector, which cannot be.
    OtherLba(u64),
    /// The area for partitions does not lie between the two copies.
    UsableArea {
        /// Its first sector.
        first: u64,
        /// Its last sector.
        last: u64,
    },
    /// The number of entries is not from 1 to 4096.
    EntryCount(u32),
    /// The size of an entry is not a multiple of 8 from 128 bytes up.
    EntrySize(u32),
    /// The entries together are larger than we read.
    TableSize(u64),
    /// The entries would begin in this sector and not fit between header and partitions.
    TableLba(u64),
    /// The sectors with the entries were not read.
    TableUnreadable(Unreadable),
    /// The CRC-32 of the entries is not the one in the header.
    TableCrc,
    /// A good copy, but not of the same table as the other one.
    Differs,
}

impl fmt::Display for CopyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => write!(f, "header is missing"),
            Self::HeaderUnreadable(why) => write!(f, "header {why}"),
            Self::HeaderSize(size) => write!(f, "header size {size} is impossible"),
            Self::HeaderCrc => write!(f, "header CRC mismatch"),
            Self::Revision(revision) => write!(f, "header revision {revision:#x} is unknown"),
            Self::OwnLba(lba) => write!(f, "header belongs into LBA {lba}"),
            Self::OtherLba(lba) => write!(f, "header has its other copy at LBA {lba}"),
            Self::UsableArea { first, last } => {
                write!(
                    f,
                    "header has an impossible usable area, LBA {first} to {last}"
                )
            }
            Self::EntryCount(count) => write!(f, "header has an impossible entry count {count}"),
            Self::EntrySize(size) => write!(f, "header has an impossible entry size {size}"),
            Self::TableSize(size) => write!(f, "table of {size} bytes is too large"),
            Self::TableLba(lba) => write!(f, "table does not fit at LBA {lba}"),
            Self::TableUnreadable(why) => write!(f, "table {why}"),
            Self::TableCrc => write!(f, "table CRC mismatch"),
            Self::Differs => write!(f, "header is of another table"),
        }
    }
}

/// What is wrong with one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryFault {
    /// Its last sector lies before its first.
    EndBeforeStart,
    /// It is not wholly inside this area (first and last LBA).
    Outside(u64, u64),
    /// It shares sectors with the partition of this index; 0 are the records of a chain.
    Overlaps(u32),
}

/// What is wrong with a chain of logical partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// The sector at this LBA was not read.
    Unreadable(u64, Unreadable),
    /// The sector at this LBA does not end in 55 AA, or has a flag other than 0 and 80h.
    NoRecord(u64),
    /// The chain names this LBA, which is outside the extended partition.
    Outside(u64),
    /// The chain comes back to this LBA.
    Loop(u64),
    /// There are more links than we follow.
    TooLong,
    /// The record at this LBA has more than one partition and one link.
    ExtraEntries(u64),
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(lba, why) => write!(f, "record at LBA {lba} {why}"),
            Self::NoRecord(lba) => write!(f, "no boot record at LBA {lba}"),
            Self::Outside(lba) => write!(f, "chain leaves the partition for LBA {lba}"),
            Self::Loop(lba) => write!(f, "chain loops back to LBA {lba}"),
            Self::TooLong => write!(f, "chain is too long"),
            Self::ExtraEntries(lba) => write!(f, "record at LBA {lba} has extra entries"),
        }
    }
}

/// One thing wrong with a table. `Display` gives the line for the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// One copy of a GPT is bad.
    Copy {
        /// Which one.
        place: Place,
        /// What is wrong with it.
        fault: CopyFault,
        /// Whether the other one is good and used instead.
        other_used: bool,
    },
    /// The backup of a GPT is not in the last sector, as after the disk has grown.
    BackupNotLast {
        /// Where it is.
        lba: u64,
        /// Where it belongs.
        last: u64,
    },
    /// There is a GPT too, but nothing in the MBR protects it, so a tool that does not know GPT
    /// has written a new MBR since.
    GptIgnored,
    /// A partition is impossible; none of the table is used.
    Entry {
        /// The scheme of its table.
        scheme: Scheme,
        /// The partition's index.
        index: u32,
        /// What is wrong with it.
        fault: EntryFault,
    },
    /// A chain of logical partitions is broken; those before the break are used.
    Chain {
        /// Index of the extended partition.
        extended: u32,
        /// What is wrong.
        fault: ChainFault,
    },
    /// A logical partition is impossible; none of its extended partition is used.
    Logical {
        /// Index of the extended partition.
        extended: u32,
        /// Index of the logical partition.
        index: u32,
        /// What is wrong with it.
        fault: EntryFault,
    },
    /// Further reasons were left out.
    More(usize),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy {
                place,
                fault,
                other_used: true,
            } => {
                write!(f, "GPT: {place} {fault}, using {}", place.other())
            }
            Self::Copy {
                place,
                fault,
                other_used: false,
            } => write!(f, "GPT: {place} {fault}"),
            Self::BackupNotLast { lba, last } => {
                write!(
                    f,
                    "GPT: backup header is at LBA {lba}, not in the last sector ({last})"
                )
            }
            Self::GptIgnored => write!(f, "MBR: a GPT is ignored, the MBR does not protect it"),
            Self::Entry {
                scheme,
                index,
                fault,
            } => {
                write!(f, "{scheme}: partition {index} ")?;
                entry_fault(f, *fault, "the usable area")
            }
            Self::Chain { extended, fault } => {
                write!(f, "MBR: extended partition {extended}: {fault}")
            }
            Self::Logical {
                extended,
                index,
                fault,
            } => {
                write!(f, "MBR: logical partition {index} ")?;
                entry_fault(f, *fault, "its extended partition")?;
                write!(f, ", extended partition {extended} is not used")
            }
            Self::More(count) => write!(f, "and {count} more"),
        }
    }
}

fn entry_fault(f: &mut fmt::Formatter<'_>, fault: EntryFault, area: &str) -> fmt::Result {
    match fault {
        EntryFault::EndBeforeStart => write!(f, "ends before it starts"),
        EntryFault::Outside(first, last) => {
            write!(f, "is not inside {area}, LBA {first} to {last}")
        }
        EntryFault::Overlaps(0) => write!(f, "overlaps the records of its chain"),
        EntryFault::Overlaps(other) => write!(f, "overlaps partition {other}"),
    }
}
