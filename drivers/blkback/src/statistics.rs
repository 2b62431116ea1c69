//! What an export has done.

use core::time::Duration;

/// Classes of latency: the first is below 1 us, each next one ends at twice the time.
pub const LATENCY_CLASSES: usize = 24;

/// Counts of one export, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Reads answered, and their bytes.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Writes answered.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Flushes answered, also those of barriers without data.
    pub flushes: u64,
    /// Discards answered.
    pub discards: u64,
    /// Requests answered with an error that are none of the frontend's faults.
    pub errors: u64,
    /// Requests that could not be meant: answered with an error.
    pub refused: u64,
    /// Events of the frontend's that brought work, and those that did not.
    pub events: u64,
    /// Events sent to the frontend.
    pub notifications: u64,
    /// Times that the next request was looked for before going to sleep, and there was one.
    pub poll_hits: u64,
    /// Times that there was none.
    pub poll_misses: u64,
    /// How many requests took how long, from the run loop's turn that found them to the one that
    /// answered them. Class 0 is below 1 us, class `n` below `2^n` us.
    pub latency: Latency,
}

/// How many requests took how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    classes: [u64; LATENCY_CLASSES],
    sum: Duration,
}

impl Latency {
    /// Counts a request that took so long.
    pub fn note(&mut self, took: Duration) {
        self.sum = self.sum.saturating_add(took);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = (u64::BITS - micros.leading_zeros()) as usize;
        if let Some(count) = self.classes.get_mut(class.min(LATENCY_CLASSES - 1)) {
            *count += 1;
        }
    }

    /// The counts, class by class.
    #[must_use]
    pub fn classes(&self) -> &[u64; LATENCY_CLASSES] {
        &self.classes
    }

    /// What all of them took together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The time below which `percent` of a hundred requests took; `None` if there were none.
    #[must_use]
    pub fn below(&self, percent: u64) -> Option<Duration> {
        let all: u64 = self.classes.iter().sum();
        let mut seen = 0;
        let class = self.classes.iter().position(|count| {
            seen += count;
            all != 0 && seen * 100 >= all * percent
        })?;
        Some(Duration::from_micros(1 << class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_fall_into_classes_of_doubling_width() {
        let mut latency = Latency::default();
        assert_eq!(latency.below(50), None);
        for micros in [0, 1, 3, 1000] {
            latency.note(Duration::from_micros(micros));
        }
        latency.note(Duration::from_secs(100_000));
        let classes = latency.classes();
        assert_eq!(
            (classes[0], classes[1], classes[2], classes[10]),
            (1, 1, 1, 1)
        );
        assert_eq!(classes[LATENCY_CLASSES - 1], 1);
        assert_eq!(latency.sum(), Duration::from_micros(100_000_001_004));
        assert_eq!(latency.below(20), Some(Duration::from_micros(1)));
        assert_eq!(latency.below(50), Some(Duration::from_micros(4)));
        assert_eq!(latency.below(80), Some(Duration::from_micros(1024)));
    }
}
