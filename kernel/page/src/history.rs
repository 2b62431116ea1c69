//! What exports and interfaces do in a second, now and in the last minutes.
//!
//! It is measured between one look at the page and the next: nothing wakes up for it while nobody
//! looks.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use blkback::ExportUse;
use hv::{DomId, Instant};
use net::InterfaceStatus;

/// How much time lies between two looks at least.
const SHORTEST: Duration = Duration::from_secs(1);
/// After how long the look before is of no use.
const LONGEST: Duration = Duration::from_secs(30);
/// How many measurements are kept.
pub const POINTS: usize = 60;

/// Requests and bytes: in all, or in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Requests.
    pub requests: u64,
    /// Bytes read, or received.
    pub read: u64,
    /// Bytes written, or sent.
    pub written: u64,
}

impl Flow {
    /// What was done since `earlier`, in each second of `elapsed`.
    fn per_second(self, earlier: Self, elapsed: Duration) -> Self {
        let millis = u64::try_from(elapsed.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        // What was made anew meanwhile has done less than before.
        let rate = |now: u64, then: u64| now.saturating_sub(then).saturating_mul(1000) / millis;
        Self {
            requests: rate(self.requests, earlier.requests),
            read: rate(self.read, earlier.read),
            written: rate(self.written, earlier.written),
        }
    }

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            read: self.read.saturating_add(other.read),
            written: self.written.saturating_add(other.written),
        }
    }
}

/// An export's name: its domain and the device's number there.
pub type ExportKey = (DomId, u32);

/// All exports together, and all interfaces, in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// The exports.
    pub storage: Flow,
    /// The interfaces; requests are packets.
    pub network: Flow,
}

/// What is done in a second.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// By each export that was there before.
    pub exports: Vec<(ExportKey, Flow)>,
    /// On each interface that was there before.
    pub interfaces: Vec<(String, Flow)>,
    /// By all of them, the latest last. Empty if nobody has looked before.
    pub points: VecDeque<Point>,
}

impl Rates {
    /// An export's.
    #[must_use]
    pub fn export(&self, key: ExportKey) -> Option<Flow> {
        let found = self.exports.iter().find(|(known, _)| *known == key);
        found.map(|(_, flow)| *flow)
    }

    /// An interface's.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<Flow> {
        let found = self.interfaces.iter().find(|(known, _)| known == name);
        found.map(|(_, flow)| *flow)
    }
}

/// The look before, and what was found since.
#[derive(Default)]
pub struct History {
    last: Option<Look>,
    rates: Rates,
}

struct Look {
    at: Instant,
    exports: Vec<(ExportKey, Flow)>,
    interfaces: Vec<(String, Flow)>,
}

impl Look {
    fn new(at: Instant, exports: &[ExportUse], interfaces: &[InterfaceStatus]) -> Self {
        let of_export = |export: &ExportUse| {
            let all = &export.statistics;
            let flow = Flow {
                requests: all.reads + all.writes + all.flushes + all.discards,
                read: all.read_bytes,
                written: all.written_bytes,
            };
            ((export.frontend, export.device), flow)
        };
        let of_interface = |interface: &InterfaceStatus| {
            let all = &interface.traffic;
            let flow = Flow {
                requests: all.received + all.sent,
                read: all.received_bytes,
                written: all.sent_bytes,
            };
            (interface.name.clone(), flow)
        };
        Self {
            at,
            exports: exports.iter().map(of_export).collect(),
            interfaces: interfaces.iter().map(of_interface).collect(),
        }
    }
}

impl History {
    /// Looks, unless somebody has just looked.
    pub fn look(&mut self, at: Instant, exports: &[ExportUse], interfaces: &[InterfaceStatus]) {
        let elapsed = self.last.as_ref().map(|last| at.since(last.at));
        if elapsed.is_some_and(|elapsed| elapsed < SHORTEST) {
            return;
        }
        let now = Look::new(at, exports, interfaces);
        match (self.last.take(), elapsed) {
            (Some(last), Some(elapsed)) if elapsed <= LONGEST => self.note(&last, &now, elapsed),
            _ => self.rates = Rates::default(),
        }
        self.last = Some(now);
    }

    /// What was found.
    #[must_use]
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    fn note(&mut self, last: &Look, now: &Look, elapsed: Duration) {
        let rates = &mut self.rates;
        rates.exports = per_second(&last.exports, &now.exports, elapsed);
        rates.interfaces = per_second(&last.interfaces, &now.interfaces, elapsed);
        if rates.points.len() == POINTS {
            rates.points.pop_front();
        }
        rates.points.push_back(Point {
            storage: sum(&rates.exports),
            network: sum(&rates.interfaces),
        });
    }
}

fn per_second<K: PartialEq + Clone>(
    last: &[(K, Flow)],
    now: &[(K, Flow)],
    elapsed: Duration,
) -> Vec<(K, Flow)> {
    let rate = |(key, flow): &(K, Flow)| {
        let (_, earlier) = last.iter().find(|(known, _)| known == key)?;
        Some((key.clone(), flow.per_second(*earlier, elapsed)))
    };
    now.iter().filter_map(rate).collect()
}

fn sum<K>(all: &[(K, Flow)]) -> Flow {
    all.iter()
        .fold(Flow::default(), |sum, (_, flow)| sum.add(*flow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn rates_are_what_was_done_since_the_look_before() {
        let mut history = History::default();
        let mut exports = example::snapshot().facts.exports;
        exports.truncate(2);
        let interfaces = example::snapshot().interfaces;
        let at = |millis: u64| Instant(millis * 1_000_000);
        history.look(at(0), &exports, &interfaces);
        assert!(history.rates().points.is_empty());
        exports[0].statistics.reads += 50;
        exports[0].statistics.read_bytes += 5000;
        exports[1].statistics.written_bytes += 500;
        history.look(at(999), &exports, &interfaces);
        assert!(history.rates().points.is_empty(), "too soon");
        history.look(at(2500), &exports, &interfaces);
        let key = (exports[0].frontend, exports[0].device);
        let first = Flow {
            requests: 20,
            read: 2000,
            written: 0,
        };
        assert_eq!(history.rates().export(key), Some(first));
        let all = Flow {
            written: 200,
            ..first
        };
        assert_eq!(history.rates().points.back().unwrap().storage, all);
        assert_eq!(history.rates().interface("xn0"), Some(Flow::default()));
        exports[0].statistics = Default::default();
        history.look(at(5000), &exports, &interfaces);
        assert_eq!(history.rates().export(key), Some(Flow::default()));
        history.look(at(5000 + 30_001), &exports, &interfaces);
        assert!(history.rates().points.is_empty(), "too long ago");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut history = History::default();
        for second in 0..1000 {
            history.look(Instant(second * 1_000_000_000), &[], &[]);
        }
        assert_eq!(history.rates().points.len(), POINTS);
    }
}
