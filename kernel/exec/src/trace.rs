//! The last things that happened, for the epitaph.

use core::fmt;

use hv::Instant;
use spin::mutex::SpinMutex;

/// Entries kept; older ones are overwritten.
const ENTRIES: usize = 128;

/// One thing that happened, with two numbers of the place's own choosing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// When.
    pub at: Instant,
    /// What: a short fixed text such as `"blkfront request"`.
    pub what: &'static str,
    /// The first number.
    pub a: u64,
    /// The second number.
    pub b: u64,
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {} {:#x} {:#x}", self.at, self.what, self.a, self.b)
    }
}

/// A ring of the last trace entries. It costs no allocation to write, and a panic handler can read
/// it.
pub struct Trace {
    ring: SpinMutex<Ring>,
}

struct Ring {
    entries: [Option<TraceEntry>; ENTRIES],
    next: usize,
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl Trace {
    /// An empty ring.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ring: SpinMutex::new(Ring {
                entries: [None; ENTRIES],
                next: 0,
            }),
        }
    }

    /// Writes an entry over the oldest one.
    pub fn record(&self, at: Instant, what: &'static str, a: u64, b: u64) {
        let mut ring = self.ring.lock();
        let next = ring.next;
        if let Some(slot) = ring.entries.get_mut(next) {
            *slot = Some(TraceEntry { at, what, a, b });
        }
        ring.next = (next + 1) % ENTRIES;
    }

    /// Shows `visit` the entries, oldest first. Shows none if the ring is being written: a panic in
    /// the middle of a write must not wait for itself.
    pub fn try_for_each(&self, mut visit: impl FnMut(&TraceEntry)) {
        let Some(ring) = self.ring.try_lock() else {
            return;
        };
        let (newer, older) = ring.entries.split_at(ring.next);
        older.iter().chain(newer).flatten().for_each(&mut visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_are_overwritten_and_the_rest_come_in_order() {
        let trace = Trace::new();
        for number in 0..ENTRIES as u64 + 2 {
            trace.record(Instant(number), "step", number, 0);
        }
        let mut seen = Vec::new();
        trace.try_for_each(|entry| seen.push(entry.a));
        assert_eq!(seen, (2..ENTRIES as u64 + 2).collect::<Vec<_>>());
    }
}
