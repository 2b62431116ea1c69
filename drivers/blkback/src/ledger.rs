//! A ring, and who is still owed an answer from it.
//!
//! A domain most likely dies in the middle of work on a request, with the connection in the hands
//! of whoever does that work. So what it takes to answer is kept apart, and everyone who asked can
//! be told then that nothing will come of it. An exception, or another vCPU, may stop that work at
//! any instruction: what is owed is written down before a request is taken and crossed out after it
//! is answered, one step at a time, so that there is at most one note too many, and it is known
//! which.

use alloc::boxed::Box;
use core::cell::Cell;
use core::sync::atomic::{Ordering, compiler_fence};

use hv::Hypervisor;
use pv::Channel;
use ring::{BackRing, Pages, PeerFault};
use xen_abi::io::blkif::{Layout, REQUEST_SIZE, Request, Response};

use crate::request::Refusal;
use crate::slot::refused;

/// What an answer repeats of its request: the id and the operation.
type Echo = (u64, u8);

/// The ring's side of a [`Queue`](crate::queue::Queue).
pub(crate) struct Ledger<H: Hypervisor> {
    ring: BackRing<Pages<H::Mapping>>,
    pub(crate) channel: Channel<H>,
    layout: Layout,
    owed: Owed,
    /// There are answers that the frontend cannot see yet.
    answered: Cell<bool>,
}

/// Who is owed an answer.
struct Owed {
    /// The requests that were taken, by their slots.
    slots: Box<[Cell<Option<Echo>>]>,
    /// The one that is taken and has no slot yet.
    in_hand: Cell<Option<Echo>>,
    /// The slot that was answered last.
    last: Cell<usize>,
}

impl Owed {
    fn notes(&self) -> impl Iterator<Item = &Cell<Option<Echo>>> {
        self.slots.iter().chain([&self.in_hand])
    }

    /// Crosses out the note that is one too many, if work was stopped before it was: `unanswered`
    /// requests were taken from the ring and have no answer in it.
    fn cross_out(&self, unanswered: u32) {
        let noted = self.notes().filter(|note| note.get().is_some()).count();
        if noted <= unanswered as usize {
            return;
        }
        // One in hand is not taken yet, or has a slot already, or is answered; while there is one,
        // no other is answered.
        let in_hand = Some(&self.in_hand).filter(|note| note.get().is_some());
        if let Some(note) = in_hand.or_else(|| self.slots.get(self.last.get())) {
            note.set(None);
        }
    }
}

impl<H: Hypervisor> Ledger<H> {
    pub(crate) fn new(
        ring: BackRing<Pages<H::Mapping>>,
        channel: Channel<H>,
        layout: Layout,
    ) -> Self {
        let capacity = ring.capacity() as usize;
        Self {
            ring,
            channel,
            layout,
            owed: Owed {
                slots: (0..capacity).map(|_| Cell::default()).collect(),
                in_hand: Cell::default(),
                last: Cell::default(),
            },
            answered: Cell::new(false),
        }
    }

    /// Requests in the ring at most, and so slots.
    pub(crate) fn capacity(&self) -> usize {
        self.owed.slots.len()
    }

    /// Copies the next request to `entry`, and says what its answer repeats. It is in hand until it
    /// has a [slot](Self::is_in) or its answer.
    #[inline]
    pub(crate) fn take(&self, entry: &mut [u8; REQUEST_SIZE]) -> Result<Option<Echo>, PeerFault> {
        let Some(bytes) = entry.get_mut(..self.layout.request_size()) else {
            return Ok(None);
        };
        if self.ring.peek(bytes)?.is_none() {
            return Ok(None);
        }
        self.layout.widen(entry);
        let echo = Request::echo(entry);
        self.owed.in_hand.set(Some(echo));
        self.ring.consume();
        Ok(Some(echo))
    }

    /// The request in hand is in slot `index` now.
    #[inline]
    pub(crate) fn is_in(&self, index: usize) {
        let Owed { slots, in_hand, .. } = &self.owed;
        if let Some(slot) = slots.get(index) {
            slot.set(in_hand.get());
            compiler_fence(Ordering::SeqCst);
            in_hand.set(None);
        }
    }

    /// Answers the request in hand.
    #[inline]
    pub(crate) fn answer_in_hand(&self, response: Response) {
        self.push(response);
        self.owed.in_hand.set(None);
    }

    /// Answers the request in slot `index`.
    #[inline]
    pub(crate) fn answer(&self, index: usize, response: Response) {
        self.owed.last.set(index);
        self.push(response);
        if let Some(slot) = self.owed.slots.get(index) {
            slot.set(None);
        }
    }

    #[inline]
    fn push(&self, response: Response) {
        let bytes = response.encode();
        if let Some(bytes) = bytes.get(..self.layout.response_size()) {
            self.answered.set(true);
            // Every request that was taken has room for its answer.
            let _pushed = self.ring.push(bytes);
        }
    }

    /// Answers every request with an error, those that were taken and those in the ring; says
    /// whether there were any. Waits for nothing, allocates and frees nothing, and may be called in
    /// the middle of work on a request, if that work does not go on.
    pub(crate) fn fail_all(&self) -> bool {
        self.owed.cross_out(self.ring.unanswered());
        let mut any = false;
        for owed in self.owed.notes() {
            if let Some(echo) = owed.take() {
                any = true;
                self.push(refused(echo, Refusal::Error));
            }
        }
        self.refuse_new() | any
    }

    /// Answers the requests in the ring with an error, a ring full of them at most; says whether
    /// there were any.
    pub(crate) fn refuse_new(&self) -> bool {
        let mut any = false;
        let mut entry = [0; REQUEST_SIZE];
        for _ in 0..self.capacity() {
            let Ok(Some(echo)) = self.take(&mut entry) else {
                break;
            };
            any = true;
            self.answer_in_hand(refused(echo, Refusal::Error));
        }
        any
    }

    /// Shows the frontend its answers; says whether it must be told.
    pub(crate) fn publish(&self) -> bool {
        let must = self.answered.get() && self.ring.publish();
        self.answered.set(false);
        must
    }

    /// Whether there is a request.
    #[inline]
    pub(crate) fn has_request(&self) -> Result<bool, PeerFault> {
        self.ring.has_request()
    }

    /// The last look before sleeping: says whether there is a request.
    pub(crate) fn final_check(&self) -> Result<bool, PeerFault> {
        self.ring.final_check()
    }

    /// The domain dies: answers everything with an error and shows it; says whether there was
    /// anything.
    pub(crate) fn last_words(&self) -> bool {
        let any = self.fail_all();
        if self.publish() {
            self.channel.notify();
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const FIRST: Echo = (1, 0);
    const SECOND: Echo = (2, 1);

    /// What is answered where work was stopped when `unanswered` requests had no answer.
    fn due(slots: [Option<Echo>; 3], in_hand: Option<Echo>, unanswered: u32) -> Vec<Echo> {
        let owed = Owed {
            slots: slots.map(Cell::new).into(),
            in_hand: Cell::new(in_hand),
            last: Cell::new(1),
        };
        owed.cross_out(unanswered);
        owed.notes().filter_map(Cell::take).collect()
    }

    #[test]
    fn wherever_work_is_stopped_each_request_is_answered_once() {
        let first = [Some(FIRST), None, None];
        // Not taken from the ring yet.
        assert_eq!(due(first, Some(SECOND), 1), [FIRST]);
        // Taken.
        assert_eq!(due(first, Some(SECOND), 2), [FIRST, SECOND]);
        // In its slot, and still in hand.
        let both = [Some(FIRST), Some(SECOND), None];
        assert_eq!(due(both, Some(SECOND), 2), [FIRST, SECOND]);
        assert_eq!(due(both, None, 2), [FIRST, SECOND]);
        // Answered, and still noted.
        assert_eq!(due(both, None, 1), [FIRST]);
        assert_eq!(due(first, Some(SECOND), 1), [FIRST]);
        assert_eq!(due(first, None, 1), [FIRST]);
    }
}
