//! How a range of the disk is cut into requests.

use super::SECTOR;
use crate::frontend::pattern::output;
use hv::PAGE_SIZE;

/// Sectors of a page.
const SECTORS: u64 = (PAGE_SIZE / SECTOR) as u64;

/// A request's sectors, each of its parts in a page of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) sector: u64,
    /// First and last sector of each page.
    pub(super) parts: Vec<(u8, u8)>,
}

impl Cut {
    pub(super) fn sectors(&self) -> u64 {
        self.parts
            .iter()
            .map(|(first, last)| u64::from(last - first) + 1)
            .sum()
    }

    /// Where in the pages' memory its sectors are, and their numbers on the disk.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, u64)> {
        let offsets = self.parts.iter().enumerate().flat_map(|(page, part)| {
            let (first, last) = *part;
            (first..=last).map(move |sector| page * PAGE_SIZE + usize::from(sector) * SECTOR)
        });
        offsets.zip(self.sector..)
    }
}

/// A request at `sector` of up to `left` sectors, in up to `most` parts, all of them multiples of
/// `unit`: any that `seed` makes.
pub(super) fn cut(seed: u64, sector: u64, left: u64, most: usize, unit: u64) -> Cut {
    let mut number = 0;
    let mut below = |bound: u64| {
        number += 1;
        output(seed, number) % bound
    };
    let count = 1 + below(most as u64);
    let mut parts = Vec::new();
    let mut left = left;
    for _ in 0..count {
        if left == 0 {
            break;
        }
        // Half of the parts are whole pages, as they are in life.
        let (first, last) = if below(2) == 0 {
            (0, SECTORS)
        } else {
            let first = below(SECTORS / unit);
            let last = first + 1 + below(SECTORS / unit - first);
            (first * unit, last * unit)
        };
        let last = last.min(first + left);
        left -= last - first;
        parts.push((first as u8, (last - 1) as u8));
    }
    Cut { sector, parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_possible_whole_units_and_no_longer_than_what_is_left() {
        for seed in 0..2000 {
            let unit = [1, 2, 4, 8][seed as usize % 4];
            let left = unit * (1 + seed % 50);
            let cut = cut(seed, 800, left, 11, unit);
            assert!((1..=11).contains(&cut.parts.len()));
            assert!((1..=left).contains(&cut.sectors()), "{cut:?}");
            for (first, last) in &cut.parts {
                let (first, end) = (u64::from(*first), u64::from(*last) + 1);
                assert!(first < end && end <= 8, "{cut:?}");
                assert!(first % unit == 0 && end % unit == 0, "{cut:?}");
            }
        }
    }

    #[test]
    fn places_follow_the_parts() {
        let cut = Cut {
            sector: 30,
            parts: vec![(6, 7), (0, 0)],
        };
        let places: Vec<_> = cut.places().collect();
        assert_eq!(places, [(3072, 30), (3584, 31), (4096, 32)]);
        assert_eq!(cut.sectors(), 3);
    }
}
