//! How much a connection may have at once of what it shares with others: the disk, and the CPU.
//!
//! Who asks for little at a time waits for each answer, and feels all that lies before its
//! request: in the disk's queue, and in the run loop's turn. Who asks for much has the next request
//! out already. So a connection may have much as long as nobody on the same disk asks for little.
//! Beside one that does it has one piece of [`LITTLE`] bytes at a time: then no more than that is
//! before the other's request.
//!
//! Where a disk does a small request in `s` and such a piece in `S`, one after the other, the small
//! one takes `1 + S/s` times what it takes alone: less than 3 on every disk that moves 64 KiB in
//! twice the time of a small request. A solid state disk of 500 MB/s that takes 80 us for each
//! request is the worst that is sold: it comes to 2.2, and to 3.1 if it cannot do two things at
//! once. For a disk that takes no time for a request but that of its bytes no piece is small
//! enough. The price is throughput beside such a neighbour: one piece for each turnaround of the
//! disk, a fifth of what a disk gives that takes 80 us and moves 3 GB/s, half of what a file of
//! dom0's gives. Pieces of 128 KiB would give 1.7 times as much there, for 3.5 and 4.4 instead of
//! 2.2 and 3.1. (`tools/sim/tests/export_share.rs` measures all of these.)
//!
//! What is shared is a disk as GEOM has it: two NOPs on one disk are two.

use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use core::cell::{Cell, RefCell};
use core::time::Duration;

use geom::id::DiskId;
use hv::Instant;

/// Bytes that are little: who never has more out asks for little.
pub(crate) const LITTLE: u64 = 64 << 10;
/// For so long it is remembered that somebody asked for little, or for much: longer than the answer
/// of a slow disk takes.
const LATELY: Duration = Duration::from_millis(100);

/// Those who share something.
#[derive(Debug, Default)]
pub(crate) struct Sharers {
    count: Cell<u64>,
    /// Who asked for little last, and when; and somebody else, who did before.
    modest: Cell<[Option<(u64, Instant)>; 2]>,
}

/// Who shares what in this domain.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// All connections: they are served by one CPU.
    pub(crate) cpu: Rc<Sharers>,
    disks: RefCell<BTreeMap<DiskId, Weak<Sharers>>>,
}

impl Sharing {
    /// Those who use that disk.
    pub(crate) fn of_disk(&self, disk: Option<DiskId>) -> Rc<Sharers> {
        let Some(disk) = disk else {
            return Rc::default();
        };
        let mut disks = self.disks.borrow_mut();
        disks.retain(|_, all| all.strong_count() > 0);
        let known = disks.get(&disk).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let all = Rc::default();
            disks.insert(disk, Rc::downgrade(&all));
            all
        })
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Sharer {
    all: Rc<Sharers>,
    number: u64,
}

impl Sharer {
    /// One more of those who share something.
    pub(crate) fn join(all: &Rc<Sharers>) -> Self {
        all.count.set(all.count.get() + 1);
        Self {
            all: all.clone(),
            number: all.count.get(),
        }
    }

    /// This one asks for little.
    pub(crate) fn is_modest(&self, now: Instant) {
        let [last, before] = self.all.modest.get();
        let other = match last {
            Some((number, _)) if number == self.number => before,
            _ => last,
        };
        self.all.modest.set([Some((self.number, now)), other]);
    }

    /// Whether another one has asked for little lately.
    pub(crate) fn is_beside_modest(&self, now: Instant) -> bool {
        let modest = self.all.modest.get();
        let other = |one: Option<(u64, Instant)>| {
            one.is_some_and(|(number, at)| number != self.number && now.since(at) < LATELY)
        };
        let [last, before] = modest;
        other(last) || other(before)
    }
}

/// Whether one connection asks for much.
#[derive(Debug, Default)]
pub(crate) struct Appetite(Option<Instant>);

impl Appetite {
    /// It wanted more than little.
    pub(crate) fn wants_much(&mut self, now: Instant) {
        self.0 = Some(now);
    }

    /// Whether it has done so lately.
    pub(crate) fn is_large(&self, now: Instant) -> bool {
        self.0.is_some_and(|at| now.since(at) < LATELY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    #[test]
    fn who_asks_for_little_is_known_to_all_the_others() {
        let all = Rc::default();
        let [one, two, three] = [0; 3].map(|_| Sharer::join(&all));
        let beside = |now| [&one, &two, &three].map(|each| each.is_beside_modest(Instant(now)));
        assert_eq!(beside(0), [false; 3]);
        one.is_modest(Instant(0));
        assert_eq!(beside(1), [false, true, true]);
        two.is_modest(Instant(2));
        two.is_modest(Instant(3));
        assert_eq!(beside(3), [true; 3], "both are remembered");
        one.is_modest(Instant(4));
        assert_eq!(beside(4), [true; 3]);
    }

    #[test]
    fn what_was_asked_long_ago_is_forgotten() {
        let all = Rc::default();
        let [one, two] = [0; 2].map(|_| Sharer::join(&all));
        let mut appetite = Appetite::default();
        assert!(!appetite.is_large(Instant(0)));
        one.is_modest(Instant(0));
        appetite.wants_much(Instant(0));
        let just = Instant(100 * MILLISECOND - 1);
        assert!(two.is_beside_modest(just) && appetite.is_large(just));
        let later = Instant(100 * MILLISECOND);
        assert!(!two.is_beside_modest(later) && !appetite.is_large(later));
    }
}
