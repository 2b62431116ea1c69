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
//! That is too much for somebody who hardly feels it. So only he counts who asks again within
//! [`SOON`] of an answer: who does one thing after the other, however slow the disk is, as long as
//! he has a CPU when he wants one. He counts
//! until he has paused for so long. Who pauses before each request, and so asks less than 100 times
//! in a second, never does: he costs the others nothing but his requests, each of which may find
//! all of their windows before it. A few requests in a row, now and then, cost the others their own
//! time and one such pause.
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
/// For so long it is remembered that somebody waits for little, or asked for much: longer than the
/// answer of a slow disk takes.
const LATELY: Duration = Duration::from_millis(100);
/// Who pauses for so long after an answer does not do one thing after the other.
const SOON: Duration = Duration::from_millis(10);

/// Those who share something.
#[derive(Debug, Default)]
pub(crate) struct Sharers {
    count: Cell<u64>,
    /// Who asked for little last, and until when that counts; and somebody else, who did before.
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

    /// This one does one thing after the other, and each is little; it `waits` for an answer, or
    /// had the last one now.
    pub(crate) fn is_modest(&self, now: Instant, waits: bool) {
        let [last, before] = self.all.modest.get();
        let other = match last {
            Some((number, _)) if number == self.number => before,
            _ => last,
        };
        let until = now.after(if waits { LATELY } else { SOON });
        self.all.modest.set([Some((self.number, until)), other]);
    }

    /// Whether another one does so.
    pub(crate) fn is_beside_modest(&self, now: Instant) -> bool {
        let modest = self.all.modest.get();
        let mut others = modest.iter().flatten();
        others.any(|(number, until)| *number != self.number && now < *until)
    }
}

/// How one connection asks.
#[derive(Debug, Default)]
pub(crate) struct Appetite {
    /// When it last wanted more than little.
    much: Option<Instant>,
    answered: Option<Instant>,
    /// Its last request came soon after an answer.
    again: bool,
}

impl Appetite {
    /// A request came.
    pub(crate) fn asks(&mut self, now: Instant) {
        self.again = self.answered.is_some_and(|at| now.since(at) < SOON);
    }

    /// One was answered.
    pub(crate) fn is_answered(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    /// It wanted more than little.
    pub(crate) fn wants_much(&mut self, now: Instant) {
        self.much = Some(now);
    }

    /// Whether it does one thing after the other, and none of late was more than little.
    pub(crate) fn is_modest(&self, now: Instant) -> bool {
        self.again && self.much.is_none_or(|at| now.since(at) >= LATELY)
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
        one.is_modest(Instant(0), true);
        assert_eq!(beside(1), [false, true, true]);
        two.is_modest(Instant(2), true);
        two.is_modest(Instant(3), true);
        assert_eq!(beside(3), [true; 3], "both are remembered");
        one.is_modest(Instant(4), true);
        assert_eq!(beside(4), [true; 3]);
    }

    #[test]
    fn who_asked_for_little_counts_while_it_waits_and_until_it_has_paused() {
        let all = Rc::default();
        let [one, two] = [0; 2].map(|_| Sharer::join(&all));
        let until = |end: u64| {
            [end - 1, end].map(|now| two.is_beside_modest(Instant(now))) == [true, false]
        };
        one.is_modest(Instant(0), true);
        assert!(until(100 * MILLISECOND));
        one.is_modest(Instant(50 * MILLISECOND), false);
        assert!(until(60 * MILLISECOND));
    }

    #[test]
    fn who_pauses_before_each_request_is_not_modest() {
        let mut appetite = Appetite::default();
        for number in 1..100 {
            let now = number * 10 * MILLISECOND;
            appetite.asks(Instant(now));
            assert!(!appetite.is_modest(Instant(now)), "{number}");
            appetite.is_answered(Instant(now));
        }
        // However long the answer takes, what counts is the pause after it.
        for number in 100..110 {
            let now = number * 50 * MILLISECOND;
            appetite.is_answered(Instant(now));
            appetite.asks(Instant(now + 10 * MILLISECOND - 1));
            assert!(appetite.is_modest(Instant(now)), "{number}");
        }
    }

    #[test]
    fn who_wanted_much_is_not_modest_for_a_while() {
        let mut appetite = Appetite::default();
        appetite.is_answered(Instant(0));
        appetite.asks(Instant(0));
        appetite.wants_much(Instant(0));
        let modest = |now| appetite.is_modest(Instant(now));
        assert!(!modest(100 * MILLISECOND - 1) && modest(100 * MILLISECOND));
    }
}
