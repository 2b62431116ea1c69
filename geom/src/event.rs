//! Events.
//!
//! An event is a mark on the object it concerns, and the object stands in a queue at most once. So
//! posting one needs no memory, two of a kind become one (two resizes: the last size wins), and all
//! of them die with their object. The places in the queues are reserved when an object is made.

use core::time::Duration;

use crate::graph::Graph;
use crate::id::{GeomId, ProviderId};

/// Events of one provider that wait to be worked on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    /// It stands in the queue.
    pub(crate) queued: bool,
    /// Consumers marked as spoiled must be told.
    pub(crate) spoil: bool,
    /// The size on the disk's record is another than the provider's.
    pub(crate) resize: bool,
    /// It is to be tasted: it is new, its last writer closed, or its media changed.
    pub(crate) taste: bool,
    /// Its taste looks again at classes that are attached already: something changed below them.
    pub(crate) refresh: bool,
    /// A read of its taste is back, or its taste was cancelled.
    pub(crate) step: bool,
}

impl Graph {
    /// Marks `provider` with an event and puts it into the queue. Nothing for a dead one.
    pub(crate) fn post(&mut self, provider: ProviderId, mark: impl FnOnce(&mut Pending)) {
        let Some(node) = self.providers.get_mut(provider) else {
            return;
        };
        mark(&mut node.pending);
        if !node.pending.queued {
            node.pending.queued = true;
            self.ready.push_back(provider);
        }
    }

    /// The next provider with events, and which. A lost provider has none: its taste, resize and
    /// spoil events are dropped here.
    pub(crate) fn next_event(&mut self) -> Option<(ProviderId, Pending)> {
        while let Some(id) = self.ready.pop_front() {
            let Some(provider) = self.providers.get_mut(id) else {
                continue;
            };
            let pending = core::mem::take(&mut provider.pending);
            if provider.is_live() || pending.step {
                return Some((id, pending));
            }
        }
        None
    }

    /// Whether anything waits for a poll, apart from completions.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        let waiting = self.doorstep.len()
            + self.ready.len()
            + self.wash.len()
            + self.changed.len()
            + self.creating.len()
            + self.departing.len()
            + self.closing.len()
            + self.sending.len();
        let timer = self.next_timer.is_some_and(|at| at <= now);
        waiting > 0 || timer || (!self.tastes.is_empty() && self.is_overdue(now))
    }

    #[cold]
    fn is_overdue(&self, now: Duration) -> bool {
        self.tastes.values().any(|taste| taste.is_overdue(now))
    }

    /// Has the geom looked at by the washer.
    pub(crate) fn wash_later(&mut self, geom: GeomId) {
        let Some(node) = self.geoms.get_mut(geom) else {
            return;
        };
        if !node.washing {
            node.washing = true;
            self.wash.push_back(geom);
        }
    }

    /// Makes room in every queue for one more object of each kind, so that no event of its life
    /// needs memory.
    pub(crate) fn reserve_places(&mut self) {
        let providers = self.providers.len() + 1;
        reserve(&mut self.doorstep, providers);
        reserve(&mut self.ready, providers);
        let geoms = self.geoms.len() + 1;
        reserve(&mut self.wash, geoms);
        let consumers = self.consumers.len() + 1;
        reserve(&mut self.changed, consumers);
        let disks = self.disks.len() + 1;
        reserve(&mut self.creating, disks);
        reserve(&mut self.departing, disks);
        reserve(&mut self.closing, disks);
        reserve(&mut self.sending, disks);
    }
}

fn reserve<T>(queue: &mut alloc::collections::VecDeque<T>, places: usize) {
    if queue.capacity() < places {
        let missing = places - queue.len();
        queue.reserve(missing);
    }
}
