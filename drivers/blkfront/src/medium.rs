//! What a backend says of its disk, and whether that can be true.
//!
//! Units are blkif.h's: `sectors` counts 512 bytes whatever the sector size is.

use core::fmt;

/// The unit of `sectors`, and of every sector number in a ring, in bytes.
pub(crate) const SECTOR: u64 = 512;
/// The largest sector size that a request can express: a segment is one page.
const LARGEST_SECTOR_SIZE: u64 = 4096;
/// The largest disk, in sectors: offsets in bytes stay below 2^63.
const MOST_SECTORS: u64 = (1 << 54) - 1;

/// `VDISK_CDROM` of blkif.h.
const INFO_CDROM: u64 = 1;
/// `VDISK_REMOVABLE` of blkif.h.
const INFO_REMOVABLE: u64 = 2;
/// `VDISK_READONLY` of blkif.h.
const INFO_READ_ONLY: u64 = 4;

/// The disk as its backend describes it, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Medium {
    /// The size in bytes, a multiple of `sector_size`; 0 when there is no medium.
    pub(crate) size: u64,
    /// 512, 1024, 2048 or 4096.
    pub(crate) sector_size: u32,
    /// The size a write should be a multiple of to be fast, in bytes.
    pub(crate) physical_sector_size: u32,
    /// Whether writes are refused.
    pub(crate) read_only: bool,
    /// Whether the medium may change.
    pub(crate) removable: bool,
}

/// The four values as they stand in the backend's directory; `None` where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Claims {
    pub(crate) sectors: Option<u64>,
    pub(crate) sector_size: Option<u64>,
    pub(crate) physical_sector_size: Option<u64>,
    pub(crate) info: Option<u64>,
}

/// A description that cannot be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadMedium {
    NoSectors,
    TooManySectors(u64),
    SectorSize(u64),
    Unaligned { sectors: u64, sector_size: u32 },
}

impl fmt::Display for BadMedium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSectors => f.write_str("the backend does not say how many sectors it has"),
            Self::TooManySectors(sectors) => {
                write!(f, "{sectors} sectors are more than any disk has")
            }
            Self::SectorSize(size) => {
                write!(
                    f,
                    "a sector size of {size} is not a power of two from 512 to 4096"
                )
            }
            Self::Unaligned {
                sectors,
                sector_size,
            } => {
                write!(
                    f,
                    "{sectors} sectors of 512 bytes are no multiple of {sector_size} bytes"
                )
            }
        }
    }
}

impl Claims {
    /// Believes what can be true. A physical sector size that cannot be is only advice gone wrong,
    /// so the sector size stands in for it; unknown bits of `info` mean nothing.
    pub(crate) fn check(self) -> Result<Medium, BadMedium> {
        let sectors = self.sectors.ok_or(BadMedium::NoSectors)?;
        if sectors > MOST_SECTORS {
            return Err(BadMedium::TooManySectors(sectors));
        }
        let claimed = self.sector_size.unwrap_or(SECTOR);
        let bounds = SECTOR..=LARGEST_SECTOR_SIZE;
        let sector_size = u32::try_from(claimed)
            .ok()
            .filter(|size| size.is_power_of_two() && bounds.contains(&claimed))
            .ok_or(BadMedium::SectorSize(claimed))?;
        let size = sectors * SECTOR;
        if !size.is_multiple_of(u64::from(sector_size)) {
            return Err(BadMedium::Unaligned {
                sectors,
                sector_size,
            });
        }
        let physical_sector_size = self
            .physical_sector_size
            .and_then(|physical| u32::try_from(physical).ok())
            .filter(|physical| *physical >= sector_size && physical.is_multiple_of(sector_size))
            .unwrap_or(sector_size);
        let info = self.info.unwrap_or(0);
        Ok(Medium {
            size,
            sector_size,
            physical_sector_size,
            read_only: info & INFO_READ_ONLY != 0,
            removable: info & (INFO_REMOVABLE | INFO_CDROM) != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(sectors: u64, sector_size: u64) -> Claims {
        Claims {
            sectors: Some(sectors),
            sector_size: Some(sector_size),
            ..Claims::default()
        }
    }

    #[test]
    fn s54_sectors_count_512_bytes_whatever_the_sector_size() {
        let medium = claims(2048, 4096).check().unwrap();
        assert_eq!((medium.size, medium.sector_size), (1 << 20, 4096));
        assert_eq!(
            Claims {
                sectors: Some(1),
                ..Claims::default()
            }
            .check()
            .unwrap()
            .size,
            512
        );
    }

    #[test]
    fn f08_absurd_sector_counts_are_refused_and_zero_is_an_empty_drive() {
        assert_eq!(
            claims(u64::MAX, 512).check(),
            Err(BadMedium::TooManySectors(u64::MAX))
        );
        assert_eq!(
            claims(1 << 54, 512).check(),
            Err(BadMedium::TooManySectors(1 << 54))
        );
        assert_eq!(claims(0, 512).check().unwrap().size, 0);
        assert_eq!(Claims::default().check(), Err(BadMedium::NoSectors));
    }

    #[test]
    fn f09_absurd_sector_sizes_are_refused() {
        for size in [0, 1, 3, 256, 511, 513, 6144, 8192, 1 << 31, u64::MAX] {
            assert_eq!(claims(2048, size).check(), Err(BadMedium::SectorSize(size)));
        }
        let odd = BadMedium::Unaligned {
            sectors: 2049,
            sector_size: 4096,
        };
        assert_eq!(claims(2049, 4096).check(), Err(odd));
    }

    #[test]
    fn f10_a_physical_sector_size_that_cannot_be_is_not_believed() {
        for (physical, believed) in [(4096, 4096), (512, 1024), (1536, 1024), (0, 1024)] {
            let medium = Claims {
                physical_sector_size: Some(physical),
                ..claims(2048, 1024)
            };
            assert_eq!(medium.check().unwrap().physical_sector_size, believed);
        }
    }

    #[test]
    fn f16_unknown_info_bits_mean_nothing() {
        let of = |info| {
            Claims {
                info: Some(info),
                ..claims(8, 512)
            }
            .check()
            .unwrap()
        };
        assert!(!of(!7).read_only);
        assert!(of(4).read_only && !of(4).removable);
        assert!(of(1).removable && of(2).removable);
    }
}
