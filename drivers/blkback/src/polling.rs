//! How long to look for the next request before going to sleep; pure.
//!
//! To sleep and to be woken costs both domains more than a small request does. A frontend that asks
//! again at once is better looked at for a few microseconds; one that runs on the same CPU cannot
//! ask while it is looked at, and one that asks rarely is not worth it. So the time is learned: it
//! grows while looking finds something, shrinks when it does not, and when nothing is ever found it
//! is tried more and more rarely.

use core::time::Duration;

use hv::Instant;

/// The longest time that is looked.
const LONGEST: Duration = Duration::from_micros(50);
/// The shortest: what is learned to be less is nothing.
const SHORTEST: Duration = Duration::from_micros(4);
/// How many sleeps come between two attempts at most, when they find nothing.
const RAREST: u32 = 256;

/// What was learned of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Polling {
    window: Duration,
    /// While it looks: until when.
    until: Option<Instant>,
    /// Sleeps without an attempt before the next one.
    rests: u32,
    rested: u32,
    /// Attempts that found something, and those that did not.
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

impl Default for Polling {
    fn default() -> Self {
        Self {
            window: LONGEST / 2,
            until: None,
            rests: 1,
            rested: 0,
            hits: 0,
            misses: 0,
        }
    }
}

impl Polling {
    /// There was work.
    pub(crate) fn found(&mut self) {
        if self.until.take().is_some() {
            self.hits += 1;
            self.window = (self.window * 2).clamp(SHORTEST, LONGEST);
            self.rests = 1;
        }
    }

    /// There is no work at `now`: whether to look again instead of sleeping.
    pub(crate) fn looks_on(&mut self, now: Instant) -> bool {
        let Some(until) = self.until else {
            return self.begins(now);
        };
        if now < until {
            return true;
        }
        self.until = None;
        self.misses += 1;
        self.window /= 2;
        if self.window < SHORTEST {
            self.window = SHORTEST;
            self.rests = (self.rests * 2).min(RAREST);
        }
        false
    }

    fn begins(&mut self, now: Instant) -> bool {
        self.rested += 1;
        if self.rested < self.rests {
            return false;
        }
        self.rested = 0;
        self.until = Some(now.after(self.window));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: u64 = 1000;

    /// Looks until it would sleep; returns the nanoseconds spent.
    fn miss(polling: &mut Polling) -> u64 {
        let mut now = 0;
        while polling.looks_on(Instant(now)) {
            now += MICROSECOND / 2;
        }
        now
    }

    #[test]
    fn looking_that_finds_nothing_is_given_up() {
        let mut polling = Polling::default();
        let first = miss(&mut polling);
        assert_eq!(first, 25 * MICROSECOND);
        let all: u64 = (0..10_000).map(|_| miss(&mut polling)).sum();
        assert!(all < 10_000 * MICROSECOND / 20, "{all} ns in 10,000 sleeps");
        assert!(polling.misses > 30);
    }

    #[test]
    fn looking_that_finds_something_grows_to_its_limit_and_no_further() {
        let mut polling = Polling::default();
        for _ in 0..100 {
            assert!(polling.looks_on(Instant(0)));
            assert!(polling.looks_on(Instant(MICROSECOND)));
            polling.found();
        }
        assert_eq!((polling.hits, polling.misses), (100, 0));
        assert_eq!(miss(&mut polling), 50 * MICROSECOND);
    }

    #[test]
    fn a_frontend_that_asks_again_is_found_out_after_long_disappointment() {
        let mut polling = Polling::default();
        for _ in 0..10_000 {
            miss(&mut polling);
        }
        let mut sleeps = 0;
        while !polling.looks_on(Instant(0)) {
            sleeps += 1;
        }
        assert!(sleeps <= RAREST);
        polling.found();
        assert!(polling.looks_on(Instant(0)), "at once");
    }

    #[test]
    fn work_without_looking_teaches_nothing() {
        let mut polling = Polling::default();
        polling.found();
        assert_eq!((polling.hits, polling.window), (0, LONGEST / 2));
    }
}
