//! What a backend says of the ranges it can free, and whether that can be true.

/// The three numbers beside `feature-discard`; `None` where there is none or where it is no number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DiscardOffer {
    pub(crate) granularity: Option<u64>,
    pub(crate) alignment: Option<u64>,
    pub(crate) secure: Option<u64>,
}

/// What can be freed: extents of one size, from the first to the last that fits the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Discard {
    /// Bytes of an extent, a multiple of the sector size.
    pub(crate) granularity: u64,
    /// Where the first one begins, in bytes; a multiple of the sector size below the granularity.
    pub(crate) alignment: u64,
    /// Content can also be destroyed.
    pub(crate) secure: bool,
}

impl DiscardOffer {
    /// Believes what can be true of a disk with sectors of `sector_size` bytes; both numbers are of
    /// 32 bits (blkif.h). Otherwise nothing can be freed: it is only a hint.
    pub(crate) fn check(self, sector_size: u32) -> Option<Discard> {
        let granularity = self.granularity.unwrap_or(sector_size.into());
        let alignment = self.alignment.unwrap_or(0);
        let possible = (1..=u64::from(u32::MAX)).contains(&granularity) && alignment <= granularity;
        let discard = Discard {
            granularity,
            alignment: if possible { alignment % granularity } else { 0 },
            secure: self.secure == Some(1),
        };
        Some(discard).filter(|discard| possible && discard.fits(sector_size))
    }
}

impl Discard {
    /// Whether the extents are whole sectors.
    pub(crate) fn fits(&self, sector_size: u32) -> bool {
        let whole = |bytes: u64| bytes.is_multiple_of(sector_size.into());
        whole(self.granularity) && whole(self.alignment)
    }

    /// How many bytes lie between `offset` and the next begin of an extent, where alone a request
    /// may start.
    pub(crate) fn gap(self, offset: u64) -> u64 {
        let Some(behind) = offset.checked_sub(self.alignment) else {
            return self.alignment - offset;
        };
        behind.next_multiple_of(self.granularity) - behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(granularity: Option<u64>, alignment: Option<u64>, sector: u32) -> Option<(u64, u64)> {
        let offer = DiscardOffer {
            granularity,
            alignment,
            secure: None,
        };
        let discard = offer.check(sector)?;
        Some((discard.granularity, discard.alignment))
    }

    #[test]
    fn f15_extents_that_cannot_be_are_none() {
        assert_eq!(check(Some(0), Some(0), 512), None);
        assert_eq!(check(Some(4096), Some(4097), 512), None);
        assert_eq!(check(Some(4096), Some(8192), 512), None);
        assert_eq!(check(Some(u64::MAX), Some(0), 512), None);
        assert_eq!(check(Some(1 << 32), None, 512), None);
        assert_eq!(check(Some(512), Some(u64::MAX), 512), None);
        assert_eq!(check(Some(1000), None, 512), None, "no whole sectors");
        assert_eq!(check(Some(4096), Some(100), 512), None);
        assert_eq!(check(Some(512), None, 4096), None);
    }

    #[test]
    fn extents_that_can_be_are_believed_and_sectors_stand_in_for_what_is_not_said() {
        assert_eq!(check(None, None, 4096), Some((4096, 0)));
        assert_eq!(check(Some(65536), None, 512), Some((65536, 0)));
        assert_eq!(check(Some(65536), Some(512), 512), Some((65536, 512)));
        assert_eq!(check(Some(65536), Some(65536), 512), Some((65536, 0)));
        let secure = |secure| DiscardOffer {
            secure,
            ..DiscardOffer::default()
        };
        let is_secure = |value| secure(value).check(512).is_some_and(|d| d.secure);
        assert!(is_secure(Some(1)));
        assert!(!is_secure(Some(0)) && !is_secure(Some(2)) && !is_secure(None));
    }

    #[test]
    fn a_request_starts_where_an_extent_does() {
        let discard = Discard {
            granularity: 4096,
            alignment: 1024,
            secure: false,
        };
        let ways = [(0, 1024), (512, 512), (1024, 0), (1536, 3584), (5120, 0)];
        for (offset, way) in ways {
            assert_eq!(discard.gap(offset), way, "{offset}");
        }
        let far = u64::MAX / 2 / 512 * 512;
        assert!(discard.gap(far) < 4096);
    }
}
