//! What is to be done next, and how far the domain can shrink.

use hv::MemoryUse;

/// Pages that one hypercall gives or gets at most: 512 KiB.
pub const BATCH: usize = 128;
/// Pages that stay free whatever the target is, for the heap to grow and for devices to come: 2
/// MiB.
const KEPT: usize = 512;
/// The heap leaves one page in this many for others, so with less than that free it cannot grow.
const SHARE: usize = 8;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Get so many pages.
    Get(usize),
    /// Give so many.
    Give(usize),
    /// Nothing: the domain has what it is to have.
    Rest,
    /// Nothing: the target is below what the domain cannot do without, in pages.
    Floor(usize),
    /// Nothing: the target is above what the domain may have, in pages.
    Ceiling(usize),
}

/// The fewest pages that the domain can do with, as it is now: what is in use, and enough that is
/// free for the heap to grow. More than it has, if it is short of memory already.
#[must_use]
pub fn floor(memory: &MemoryUse) -> usize {
    let used = memory.total.saturating_sub(memory.free);
    used.saturating_add(KEPT)
        .saturating_mul(SHARE)
        .div_ceil(SHARE - 1)
}

/// The next step of a domain that is to have `target` pages, and may have `most`.
#[must_use]
pub fn next(memory: &MemoryUse, target: usize, most: usize) -> Step {
    let total = memory.total;
    if target > total {
        match target.min(most).saturating_sub(total) {
            0 => Step::Ceiling(most),
            missing => Step::Get(missing.min(BATCH)),
        }
    } else if target < total {
        let floor = floor(memory);
        match total.saturating_sub(target.max(floor)) {
            0 => Step::Floor(floor),
            spare => Step::Give(spare.min(BATCH)),
        }
    } else {
        Step::Rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(total: usize, free: usize) -> MemoryUse {
        MemoryUse {
            total,
            free,
            ..MemoryUse::default()
        }
    }

    #[test]
    fn it_goes_up_and_down_by_batches_and_stops_where_it_should() {
        let now = memory(16_384, 15_000);
        assert_eq!(next(&now, 65_536, 65_536), Step::Get(BATCH));
        assert_eq!(next(&now, 16_390, 65_536), Step::Get(6));
        assert_eq!(next(&now, 16_390, 16_386), Step::Get(2));
        assert_eq!(next(&now, 16_384, 65_536), Step::Rest);
        assert_eq!(next(&now, 16_380, 65_536), Step::Give(4));
        assert_eq!(next(&now, 4096, 65_536), Step::Give(BATCH));
        assert_eq!(next(&now, 65_536, 16_384), Step::Ceiling(16_384));
    }

    #[test]
    fn a_ceiling_below_what_there_is_takes_nothing_away() {
        assert_eq!(next(&memory(4096, 4000), 8192, 7), Step::Ceiling(7));
        assert_eq!(next(&memory(4096, 4000), 4096, 7), Step::Rest);
    }

    #[test]
    fn x05_no_target_gets_below_the_floor() {
        for target in [0, 1, 2000] {
            let mut now = memory(16_384, 14_384);
            let floor = floor(&now);
            while let Step::Give(count) = next(&now, target, usize::MAX) {
                assert!((1..=BATCH).contains(&count));
                now = memory(now.total - count, now.free - count);
            }
            assert_eq!(next(&now, target, usize::MAX), Step::Floor(floor));
            assert_eq!(now.total, floor, "exactly");
            // What the heap may grow by is what is kept.
            assert!(now.free - now.total / SHARE >= KEPT);
        }
    }

    #[test]
    fn a_domain_that_is_short_already_gives_nothing() {
        let now = memory(2048, 300);
        assert!(floor(&now) > 2048);
        assert_eq!(next(&now, 0, 2048), Step::Floor(floor(&now)));
    }

    #[test]
    fn x05_numbers_at_their_end_are_numbers() {
        let now = memory(usize::MAX, 0);
        assert_eq!(floor(&memory(usize::MAX - KEPT, 0)), usize::MAX.div_ceil(7));
        assert_eq!(
            next(&memory(1, 1), usize::MAX, usize::MAX),
            Step::Get(BATCH)
        );
        assert_eq!(next(&now, usize::MAX, 0), Step::Rest);
    }
}
