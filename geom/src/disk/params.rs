//! What a driver tells about its disk, and how GEOM judges it.

use alloc::string::String;
use core::fmt;

use crate::bio::Command;
use crate::media::SECTOR_SIZE_MAX;

/// The version of this interface. A driver puts it into [`DiskParams::version`]; one that was
/// written for another meaning of the fields is refused.
pub const DISK_VERSION: u32 = 1;

/// The largest media, in bytes: what fits a signed 64-bit offset.
pub const LARGEST_MEDIA: u64 = i64::MAX as u64;

/// A disk, as its driver describes it. Start from [`DiskParams::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct DiskParams {
    /// [`DISK_VERSION`].
    pub version: u32,
    /// The class that makes it, in capitals: `DISK`, unless the driver is made by something else
    /// than a device.
    pub class: &'static str,
    /// The driver's name, 1 to 16 lower case letters, such as `xbd`.
    pub name: String,
    /// The unit; the disk is called name and unit, such as `xbd0`. No two disks that are not gone
    /// may share it, but one that is leaving does not count.
    pub unit: u32,
    /// Size in bytes, a multiple of the sector size, at most [`LARGEST_MEDIA`]. 0 means no media:
    /// the provider exists, requests fail with `ENXIO`.
    pub media_size: u64,
    /// A power of two from 512 to 65536, in bytes.
    pub sector_size: u32,
    /// What the media likes requests to be aligned to, in bytes; 0 if there is nothing to say.
    pub stripe_size: u64,
    /// What the disk can do.
    pub limits: DiskLimits,
    /// Writing is refused with `EROFS`.
    pub read_only: bool,
    /// Attribute `GEOM::ident`: what identifies the device, such as a serial number. What is not
    /// printable ASCII is written as `xHH`.
    pub ident: String,
    /// Attribute `GEOM::descr`: the model, for people.
    pub description: String,
    /// Attribute `GEOM::fwsectors`, sectors per track as firmware believes; 0 if unknown.
    pub fwsectors: u32,
    /// Attribute `GEOM::fwheads`; 0 if unknown.
    pub fwheads: u32,
}

impl DiskParams {
    /// A writable disk of 512-byte sectors without a feature, with requests up to 64 KiB.
    #[must_use]
    pub fn new(name: &str, unit: u32, media_size: u64) -> Self {
        Self {
            version: DISK_VERSION,
            class: "DISK",
            name: name.into(),
            unit,
            media_size,
            sector_size: 512,
            stripe_size: 0,
            limits: DiskLimits {
                max_io: 64 << 10,
                max_delete: 0,
                can_delete: false,
                can_flush: false,
                can_erase: false,
                delete_granularity: 0,
            },
            read_only: false,
            ident: String::new(),
            description: String::new(),
            fwsectors: 0,
            fwheads: 0,
        }
    }

    pub(crate) fn check(&self) -> Result<(), DiskError> {
        if self.version != DISK_VERSION {
            return Err(DiskError::Version {
                given: self.version,
            });
        }
        let letters = self.name.bytes().all(|byte| byte.is_ascii_lowercase());
        if !letters || self.name.is_empty() || self.name.len() > 16 {
            return Err(DiskError::Name(self.name.chars().take(32).collect()));
        }
        check_sizes(self.media_size, self.sector_size)?;
        self.limits.check(self.sector_size)
    }
}

pub(crate) fn check_sizes(media_size: u64, sector_size: u32) -> Result<(), DiskError> {
    if !sector_size.is_power_of_two() || !(512..=SECTOR_SIZE_MAX).contains(&sector_size) {
        return Err(DiskError::SectorSize(sector_size));
    }
    if media_size > LARGEST_MEDIA || !media_size.is_multiple_of(u64::from(sector_size)) {
        return Err(DiskError::MediaSize(media_size));
    }
    Ok(())
}

/// What a disk can do. It may change while the disk lives; layers above see the change at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskLimits {
    /// The largest request the driver takes, in bytes; at least one sector. GEOM splits longer
    /// ones, at multiples of the sector size.
    pub max_io: u64,
    /// The same of [`Command::Delete`] and [`Command::Erase`], which move no data (`d_delmaxsize`
    /// of FreeBSD); 0 if `max_io` counts for them too.
    pub max_delete: u64,
    /// Whether [`Command::Delete`] is possible.
    pub can_delete: bool,
    /// Whether [`Command::Flush`] is possible.
    pub can_flush: bool,
    /// Whether [`Command::Erase`] is possible.
    pub can_erase: bool,
    /// Deleting pays for ranges made of aligned pieces of so many bytes; a multiple of the sector
    /// size, 0 if every sector counts. Other ranges are allowed: the rest of them may be ignored.
    pub delete_granularity: u64,
}

impl DiskLimits {
    /// The largest request of this kind, in bytes.
    #[inline]
    pub(crate) fn longest(&self, command: Command) -> u64 {
        match command {
            Command::Delete | Command::Erase if self.max_delete != 0 => self.max_delete,
            _ => self.max_io,
        }
    }

    pub(crate) fn check(&self, sector_size: u32) -> Result<(), DiskError> {
        let longest = [self.max_io, self.longest(Command::Delete)];
        if let Some(short) = longest
            .into_iter()
            .find(|max| *max < u64::from(sector_size))
        {
            return Err(DiskError::MaxIo(short));
        }
        if !self
            .delete_granularity
            .is_multiple_of(u64::from(sector_size))
        {
            return Err(DiskError::DeleteGranularity(self.delete_granularity));
        }
        Ok(())
    }
}

/// Why a driver's call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// The driver was written for another version of the interface.
    Version {
        /// What it gave; [`DISK_VERSION`] is wanted.
        given: u32,
    },
    /// The name is not 1 to 16 lower case letters.
    Name(String),
    /// A disk of this name lives.
    NameInUse(String),
    /// The sector size is not a power of two from 512 to 65536.
    SectorSize(u32),
    /// The media size is not a multiple of the sector size, or larger than [`LARGEST_MEDIA`].
    MediaSize(u64),
    /// The largest request is smaller than a sector.
    MaxIo(u64),
    /// The granularity of deletes is not a multiple of the sector size.
    DeleteGranularity(u64),
    /// The disk is gone or leaving.
    Gone,
    /// The disk was destroyed through this handle already.
    Destroyed,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { given } => {
                write!(
                    f,
                    "disk interface version {given}, this is version {DISK_VERSION}"
                )
            }
            Self::Name(name) => write!(f, "disk name {name:?} is not 1 to 16 lower case letters"),
            Self::NameInUse(name) => write!(f, "there is a disk {name}"),
            Self::SectorSize(size) => write!(f, "sector size {size} is not usable"),
            Self::MediaSize(size) => write!(f, "media size {size} is not usable"),
            Self::MaxIo(size) => write!(f, "largest request {size} is smaller than a sector"),
            Self::DeleteGranularity(size) => {
                write!(f, "delete granularity {size} is not whole sectors")
            }
            Self::Gone => f.write_str("the disk is gone"),
            Self::Destroyed => f.write_str("the disk was destroyed before"),
        }
    }
}

impl core::error::Error for DiskError {}
