//! How an input becomes a disk.
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 0 | bits 0-1: sector size 512 << n; bit 2: repair GPT CRCs; bit 3: one sector is bad; |
//! | | bit 4: make the backup GPT a true copy of the primary |
//! | 1 | not used |
//! | 2-3 | sector before which a hole of zeroes is put in |
//! | 4-11 | sectors in the hole, modulo 2^44 |
//! | 12-15 | the bad sector, counted without the hole |
//! | 16- | the sectors, the last one filled up with zeroes |
//!
//! The hole makes small inputs large disks. Repairing the CRCs lets a change behind them reach the
//! checks that come after; without it nearly every change would end at the first one.

use crate::repair;
use geom::media::{BUDGET, Media, Need};
use std::collections::BTreeMap;
use std::ops::Range;

const HEADER: usize = 16;

/// Bytes that are there before a warm run asks: less than the budget has to spare.
const WARM: u32 = 32 << 10;

/// A disk.
#[derive(Clone, Debug)]
pub struct Image {
    /// Bytes in a sector.
    pub sector_size: u32,
    /// Number of sectors.
    pub sectors: u64,
    bad: Option<u64>,
    data: BTreeMap<u64, Vec<u8>>,
    /// These sectors (first and last) all have these contents.
    filled: Vec<(u64, u64)>,
    filling: Vec<u8>,
}

impl Image {
    /// The disk an input stands for; every input stands for one.
    #[must_use]
    pub fn new(input: &[u8]) -> Self {
        let mut header = [0; HEADER];
        let (start, sectors) = input.split_at(HEADER.min(input.len()));
        header[..start.len()].copy_from_slice(start);
        let number = |from: usize, to: usize| {
            header[from..to]
                .iter()
                .rev()
                .fold(0, |all, byte| all << 8 | u64::from(*byte))
        };
        let (flags, cut, hole) = (header[0], number(2, 4), number(4, 12) & ((1 << 44) - 1));
        let sector_size = 512u32 << (flags & 3);
        let moved = |lba: u64| if lba < cut { lba } else { lba + hole };
        let mut data = BTreeMap::new();
        for (lba, bytes) in (0..).zip(sectors.chunks(sector_size as usize)) {
            let mut bytes = bytes.to_vec();
            bytes.resize(sector_size as usize, 0);
            data.insert(moved(lba), bytes);
        }
        let sectors = data.len() as u64 + hole;
        let bad = (flags & 8 != 0).then(|| moved(number(12, 16)));
        let mut image = Self {
            sector_size,
            sectors,
            bad,
            data,
            filled: Vec::new(),
            filling: Vec::new(),
        };
        if flags & 16 != 0 {
            repair::copy_primary(&mut image);
        }
        if flags & 4 != 0 {
            repair::seal(&mut image, 1);
            let last = image.sectors.saturating_sub(1);
            repair::seal(&mut image, last);
        }
        image
    }

    /// The contents of a sector, or `None` if it is bad or beyond the end.
    #[must_use]
    pub fn sector(&self, lba: u64) -> Option<Vec<u8>> {
        if self.bad == Some(lba) || lba >= self.sectors {
            return None;
        }
        if self
            .filled
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&lba))
        {
            return Some(self.filling.clone());
        }
        let zeroes = || vec![0; self.sector_size as usize];
        Some(self.data.get(&lba).cloned().unwrap_or_else(zeroes))
    }

    /// The bytes of `count` sectors, if all can be read.
    #[must_use]
    pub fn read(&self, lba: u64, count: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for lba in lba..lba.checked_add(count)? {
            bytes.extend(self.sector(lba)?);
        }
        Some(bytes)
    }

    /// The sectors in a range that are not part of the hole.
    pub fn present(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &[u8])> {
        self.data
            .range(range)
            .map(|(lba, bytes)| (*lba, bytes.as_slice()))
    }

    /// Writes whole sectors, which repairs a bad one.
    pub fn write(&mut self, lba: u64, bytes: &[u8]) {
        for (lba, sector) in (lba..).zip(bytes.chunks(self.sector_size as usize)) {
            self.data.insert(lba, sector.to_vec());
            self.bad = self.bad.filter(|bad| *bad != lba);
        }
    }

    /// The same disk with these sectors overwritten with one content, and none bad among them.
    #[must_use]
    pub fn filled(&self, ranges: Vec<(u64, u64)>, filling: Vec<u8>) -> Self {
        let kept = |lba: &u64| {
            !ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(lba))
        };
        let bad = self.bad.filter(kept);
        Self {
            bad,
            filled: ranges,
            filling,
            ..self.clone()
        }
    }

    /// Runs something that asks for sectors until it has what it needs.
    ///
    /// # Panics
    /// If a need is not one a core could meet, a sector is asked for twice, or the end never comes.
    pub fn run<T>(&self, step: impl Fn(&Media) -> Result<T, Need>) -> T {
        self.run_with(self.media(), step)
    }

    /// As [`run`](Self::run), but much is there before anything is asked for, as after the taste of
    /// another class: the answer must not depend on it.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn run_warm<T>(&self, step: impl Fn(&Media) -> Result<T, Need>) -> T {
        let mut media = self.media();
        for (lba, _) in self.data.iter().take((WARM / self.sector_size) as usize) {
            if let Some(bytes) = self.sector(*lba) {
                let offset = lba * u64::from(self.sector_size);
                media.supply(offset, &bytes).expect("a whole sector");
            }
        }
        self.run_with(media, step)
    }

    fn media(&self) -> Media {
        let bytes = self.sectors * u64::from(self.sector_size);
        Media::new(bytes, self.sector_size).expect("possible sizes")
    }

    fn run_with<T>(&self, mut media: Media, step: impl Fn(&Media) -> Result<T, Need>) -> T {
        let size = u64::from(self.sector_size);
        for _ in 0..=2 * BUDGET / 512 {
            let need = match step(&media) {
                Ok(value) => return value,
                Err(need) => need,
            };
            assert!(need.offset.is_multiple_of(size) && need.length.is_multiple_of(size));
            assert!(
                need.length > 0 && need.offset + need.length <= media.size(),
                "{need:?}"
            );
            let count = need.length / size;
            for lba in need.offset / size..need.offset / size + count {
                let known = media.read_sector(lba);
                assert!(known.is_err(), "sector {lba} is asked for again");
            }
            match self.read(need.offset / size, count) {
                Some(bytes) => media.supply(need.offset, &bytes).expect("whole sectors"),
                None => media.supply_error(Need {
                    length: count * size,
                    ..need
                }),
            }
            assert!(media.held() <= BUDGET);
        }
        panic!("asks for ever more");
    }
}
