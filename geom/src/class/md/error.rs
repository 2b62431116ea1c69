//! Why there is no memory disk.

use alloc::string::String;
use core::fmt;

/// Why a memory disk was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MdError {
    /// Nobody has said where pages come from ([`Geom::set_page_source`](crate::Geom)).
    NoSource,
    /// The size is not whole sectors, or 0.
    Size(u64),
    /// The sector size is neither 512 nor 4096.
    SectorSize(u32),
    /// There is a disk of that unit.
    UnitInUse(u32),
    /// There is a memory disk of that label.
    LabelInUse(String),
    /// It is larger than the memory that is free for it.
    TooLarge {
        /// Bytes asked for.
        size: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// There was no memory for its pages, or for the list of them.
    NoMemory,
}

impl fmt::Display for MdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSource => f.write_str("there is no memory for memory disks here"),
            Self::Size(size) => write!(f, "size {size} is not whole sectors"),
            Self::SectorSize(size) => write!(f, "sector size {size} is neither 512 nor 4096"),
            Self::UnitInUse(unit) => write!(f, "there is a disk md{unit}"),
            Self::LabelInUse(label) => write!(f, "there is a memory disk {label:?}"),
            Self::TooLarge { size, free } => {
                write!(f, "{size} bytes are wanted and {free} are free")
            }
            Self::NoMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for MdError {}
