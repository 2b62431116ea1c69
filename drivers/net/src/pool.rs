//! How much memory connections may have.
//!
//! A socket's buffers cannot grow, so their size is chosen when the connection comes: as large as
//! the share of those that are already there allows, and never so large that the smallest ones
//! would not find room for as many connections as there may be.

use alloc::boxed::Box;
use core::fmt;

/// The smallest and the largest buffer, in bytes; a connection has two.
const SMALLEST: usize = 4 << 10;
const LARGEST: usize = 1 << 20;
/// Beside the buffers.
const SOCKET: usize = 2 << 10;
/// One part in so many of the domain's memory is for connections that have the smallest buffers.
const SHARE: usize = 3;
/// One in so many is for those that have larger ones.
const LARGE_SHARE: usize = 8;
/// A buffer may take one part in so many of what is left for large ones.
const PART: usize = 16;
/// No more connections than this, whatever memory there is.
const MOST: usize = 4096;
/// Memory that connections leave to others.
const KEPT: usize = 1 << 20;

/// What is free now, in bytes.
pub(crate) type Free = Box<dyn Fn() -> usize>;

/// What connections have, and may have.
pub(crate) struct Pool {
    /// How many there may be.
    limit: usize,
    /// How many there are.
    count: usize,
    /// Bytes for buffers above the smallest, and how many are taken.
    large: usize,
    large_taken: usize,
    /// Bytes taken in all.
    taken: usize,
    free: Free,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("limit", &self.limit)
            .field("count", &self.count)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// For a domain of `total` bytes of memory, of which `free()` are free at any time.
    pub(crate) fn new(total: usize, free: Free) -> Self {
        Self {
            limit: (total / SHARE / Self::smallest()).clamp(8, MOST),
            count: 0,
            large: total / LARGE_SHARE,
            large_taken: 0,
            taken: 0,
            free,
        }
    }

    const fn smallest() -> usize {
        2 * SMALLEST + SOCKET
    }

    /// How many connections there may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether those that are only remembered should make room.
    pub(crate) fn is_crowded(&self) -> bool {
        self.count > self.limit / 2 || self.large_taken > self.large / 2
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Bytes that connections take.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// The size of each of a new connection's two buffers, from now on taken; `None` if there is no
    /// room for it. `modest` asks for the smallest.
    pub(crate) fn take(&mut self, modest: bool) -> Option<usize> {
        let free = (self.free)().saturating_sub(KEPT);
        if self.count >= self.limit || free < Self::smallest() {
            return None;
        }
        let left = (self.large - self.large_taken).min(free) / PART;
        let mut size = SMALLEST;
        while !modest && size < LARGEST && 2 * (2 * size) <= left {
            size *= 2;
        }
        self.count += 1;
        self.large_taken += 2 * (size - SMALLEST);
        self.taken += 2 * size + SOCKET;
        Some(size)
    }

    /// Gives back what [`take`](Self::take) gave.
    pub(crate) fn give_back(&mut self, size: usize) {
        self.count -= 1;
        self.large_taken -= 2 * (size - SMALLEST);
        self.taken -= 2 * size + SOCKET;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(total: usize) -> Pool {
        Pool::new(total, Box::new(move || total))
    }

    #[test]
    fn two_thousand_connections_fit_in_64_mib_and_take_less_than_half_of_it() {
        let mut pool = pool(64 << 20);
        // An eighth of it, and of that a sixteenth, for two.
        let first = 256 << 10;
        let sizes: Vec<_> = core::iter::from_fn(|| pool.take(false)).collect();
        assert!(sizes.len() >= 2000, "{}", sizes.len());
        assert!(pool.taken() <= 32 << 20, "{}", pool.taken());
        assert_eq!(sizes.first(), Some(&first));
        assert_eq!(sizes.last(), Some(&SMALLEST));
        for size in sizes {
            pool.give_back(size);
        }
        assert_eq!((pool.count(), pool.taken(), pool.large_taken), (0, 0, 0));
    }

    #[test]
    fn no_buffer_is_larger_than_the_largest() {
        assert_eq!(pool(1 << 30).take(false), Some(LARGEST));
    }

    #[test]
    fn a_small_domain_has_small_buffers() {
        let mut pool = pool(8 << 20);
        assert!(pool.take(false).unwrap() <= 32 << 10);
        assert!(pool.limit() >= 64);
    }

    #[test]
    fn no_connection_takes_the_memory_that_is_kept() {
        let mut pool = Pool::new(64 << 20, Box::new(|| KEPT + 4096));
        assert_eq!(pool.take(false), None);
        assert_eq!(pool.count(), 0);
    }
}
