//! A ring, and who is still owed an answer from it.
//!
//! A domain most likely dies in the middle of work on a request, with the connection in the hands
//! of whoever does that work. So what it takes to answer is kept apart, and nobody holds it for
//! longer than a look at the ring: everyone who asked can be told then that nothing will come of
//! it.

use alloc::boxed::Box;
use core::cell::{Cell, RefCell};

use hv::Hypervisor;
use pv::Channel;
use ring::{BackRing, Pages, PeerFault};
use xen_abi::io::blkif::{BadRequest, Layout, REQUEST_SIZE, Request, Response};

use crate::request::{Refusal, echo};
use crate::slot::refused;

/// What an answer repeats of its request: the id and the operation.
type Echo = (u64, u8);
/// A request, if it is one, and what is owed to it.
type Arrival = (Result<Request, BadRequest>, Echo);

/// The ring's side of a [`Queue`](crate::queue::Queue).
pub(crate) struct Ledger<H: Hypervisor> {
    ring: RefCell<BackRing<Pages<H::Mapping>>>,
    pub(crate) channel: Channel<H>,
    layout: Layout,
    /// The requests that were taken, by their slots.
    owed: Box<[Cell<Option<Echo>>]>,
    /// The one that was taken and has no slot yet.
    in_hand: Cell<Option<Echo>>,
    /// There are answers that the frontend cannot see yet.
    answered: Cell<bool>,
}

impl<H: Hypervisor> Ledger<H> {
    pub(crate) fn new(
        ring: BackRing<Pages<H::Mapping>>,
        channel: Channel<H>,
        layout: Layout,
    ) -> Self {
        let capacity = ring.capacity() as usize;
        Self {
            ring: RefCell::new(ring),
            channel,
            layout,
            owed: (0..capacity).map(|_| Cell::default()).collect(),
            in_hand: Cell::default(),
            answered: Cell::new(false),
        }
    }

    /// Requests in the ring at most, and so slots.
    pub(crate) fn capacity(&self) -> usize {
        self.owed.len()
    }

    /// Takes the next request. It is in hand until it has a [slot](Self::is_in) or its answer.
    #[inline]
    pub(crate) fn take(&self) -> Result<Option<Arrival>, PeerFault> {
        let mut entry = [0; REQUEST_SIZE];
        let Some(bytes) = entry.get_mut(..self.layout.request_size()) else {
            return Ok(None);
        };
        if self.ring.borrow_mut().take(bytes)?.is_none() {
            return Ok(None);
        }
        self.layout.widen(&mut entry);
        let request = Request::decode(&entry);
        let echo = echo(&request);
        self.in_hand.set(Some(echo));
        Ok(Some((request, echo)))
    }

    /// The request in hand is in slot `index` now.
    #[inline]
    pub(crate) fn is_in(&self, index: usize) {
        if let Some(owed) = self.owed.get(index) {
            owed.set(self.in_hand.take());
        }
    }

    /// Answers the request in hand.
    #[inline]
    pub(crate) fn answer_in_hand(&self, response: Response) {
        self.push(response);
        self.in_hand.set(None);
    }

    /// Answers the request in slot `index`.
    #[inline]
    pub(crate) fn answer(&self, index: usize, response: Response) {
        self.push(response);
        if let Some(owed) = self.owed.get(index) {
            owed.set(None);
        }
    }

    #[inline]
    fn push(&self, response: Response) {
        let bytes = response.encode();
        if let Some(bytes) = bytes.get(..self.layout.response_size()) {
            // Every request that was taken has room for its answer.
            let _pushed = self.ring.borrow_mut().push(bytes);
            self.answered.set(true);
        }
    }

    /// Answers every request with an error, those that were taken and those in the ring; says
    /// whether there were any. Waits for nothing, allocates and frees nothing, and may be called in
    /// the middle of work on a request, if that work does not go on.
    pub(crate) fn fail_all(&self) -> bool {
        if self.ring.try_borrow_mut().is_err() {
            // The ring itself is what is broken.
            return false;
        }
        let mut any = false;
        for owed in self.owed.iter().chain([&self.in_hand]) {
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
        for _ in 0..self.owed.len() {
            let Ok(Some((_, echo))) = self.take() else {
                break;
            };
            any = true;
            self.answer_in_hand(refused(echo, Refusal::Error));
        }
        any
    }

    /// Shows the frontend its answers; says whether it must be told.
    pub(crate) fn publish(&self) -> bool {
        self.answered.take() && self.ring.borrow_mut().publish()
    }

    /// Whether there is a request.
    #[inline]
    pub(crate) fn has_request(&self) -> Result<bool, PeerFault> {
        self.ring.borrow_mut().has_request()
    }

    /// The last look before sleeping: says whether there is a request.
    pub(crate) fn final_check(&self) -> Result<bool, PeerFault> {
        self.ring.borrow_mut().final_check()
    }

    /// The domain dies: answers everything with an error and shows it; says whether there was
    /// anything.
    pub(crate) fn last_words(&self) -> bool {
        let any = self.fail_all();
        if self.ring.try_borrow_mut().is_ok() && self.publish() {
            self.channel.notify();
        }
        any
    }
}
