//! The end of a ring that answers.

use core::cell::Cell;
use core::sync::atomic::{Ordering, compiler_fence, fence};

use hv::SharedMem;
use xen_abi::io::ring::{REQ_EVENT, REQ_PROD, RSP_EVENT, RSP_PROD, entries};

use crate::index::{ahead, must_notify, offset};
use crate::{PeerFault, RingFull};

/// The backend of a request ring (`*_back_ring` in ring.h).
///
/// After a [`PeerFault`] the ring stays in that state: every later look at it returns the same
/// fault.
///
/// Each call changes one thing, at its end. So the ring may be used in the middle of another call
/// on it, if that does not go on: a domain that dies answers its peers from wherever it was.
#[derive(Debug)]
pub struct BackRing<M> {
    memory: M,
    entry_size: usize,
    capacity: u32,
    /// One past the last request taken.
    req_cons: Cell<u32>,
    /// The frontend's `req_prod`, as it was last seen and found possible.
    req_prod: Cell<u32>,
    /// One past the last response pushed.
    rsp_prod: Cell<u32>,
    /// What of `rsp_prod` the frontend has been told.
    published: Cell<u32>,
    fault: Cell<Option<PeerFault>>,
}

impl<M: SharedMem> BackRing<M> {
    /// Attaches to a ring that the frontend made, with entries of `entry_size` bytes. It goes on
    /// where an earlier backend stopped, so the indices need not start at 0.
    ///
    /// # Errors
    /// A [`PeerFault`] if more requests are claimed than the ring can hold.
    ///
    /// # Panics
    /// If not even one entry fits.
    pub fn attach(memory: M, entry_size: usize) -> Result<Self, PeerFault> {
        let capacity = entries(memory.len(), entry_size);
        assert!(
            capacity != 0,
            "{} bytes are no ring of {entry_size} byte entries",
            memory.len()
        );
        let start = memory.load_u32(RSP_PROD);
        ahead("req_prod", memory.load_u32(REQ_PROD), start, capacity)?;
        Ok(Self {
            memory,
            entry_size,
            capacity,
            req_cons: Cell::new(start),
            req_prod: Cell::new(start),
            rsp_prod: Cell::new(start),
            published: Cell::new(start),
            fault: Cell::new(None),
        })
    }

    /// How many entries the ring has.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Requests taken that have no response yet.
    #[must_use]
    pub fn unanswered(&self) -> u32 {
        self.req_cons.get().wrapping_sub(self.rsp_prod.get())
    }

    /// The memory the ring lies in.
    #[must_use]
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Gives the memory back.
    #[must_use]
    pub fn into_memory(self) -> M {
        self.memory
    }

    /// Copies the next request into `request`, its first bytes if that is shorter than an entry;
    /// `None` when there is none, or when as many as the ring can hold are unanswered.
    ///
    /// # Errors
    /// A [`PeerFault`] if the frontend claims more requests than the ring can hold.
    ///
    /// # Panics
    /// If `request` is longer than an entry.
    #[inline]
    pub fn take(&self, request: &mut [u8]) -> Result<Option<()>, PeerFault> {
        let copied = self.peek(request)?;
        if copied.is_some() {
            self.consume();
        }
        Ok(copied)
    }

    /// As [`take`](Self::take), but the request stays there until it is [consumed](Self::consume);
    /// another look may find another one, for the frontend can write it at any moment.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    ///
    /// # Panics
    /// If `request` is longer than an entry.
    #[inline]
    pub fn peek(&self, request: &mut [u8]) -> Result<Option<()>, PeerFault> {
        assert!(request.len() <= self.entry_size, "a request fits an entry");
        if !self.has_request()? {
            return Ok(None);
        }
        let at = offset(self.req_cons.get(), self.capacity, self.entry_size);
        self.memory.read(at, request);
        Ok(Some(()))
    }

    /// Takes the request that was [looked at](Self::peek). What was written before is written when
    /// this is.
    #[inline]
    pub fn consume(&self) {
        compiler_fence(Ordering::SeqCst);
        self.req_cons.set(self.req_cons.get().wrapping_add(1));
        compiler_fence(Ordering::SeqCst);
    }

    /// Writes a response; the frontend sees it after [`publish`](Self::publish). What was written
    /// before is written when this is.
    ///
    /// # Errors
    /// [`RingFull`] when every request taken has its response.
    ///
    /// # Panics
    /// If `response` is longer than an entry.
    #[inline]
    pub fn push(&self, response: &[u8]) -> Result<(), RingFull> {
        assert!(
            response.len() <= self.entry_size,
            "a response must fit an entry"
        );
        if self.unanswered() == 0 {
            return Err(RingFull);
        }
        let at = offset(self.rsp_prod.get(), self.capacity, self.entry_size);
        self.memory.write(at, response);
        compiler_fence(Ordering::SeqCst);
        self.rsp_prod.set(self.rsp_prod.get().wrapping_add(1));
        compiler_fence(Ordering::SeqCst);
        Ok(())
    }

    /// Shows the frontend all responses pushed so far; says whether it must be sent an event.
    #[must_use = "the frontend may be asleep"]
    pub fn publish(&self) -> bool {
        let (old, new) = (self.published.get(), self.rsp_prod.get());
        self.memory.store_u32(RSP_PROD, new);
        // The frontend must see the responses before we look whether it went to sleep.
        fence(Ordering::SeqCst);
        let must = must_notify(old, new, self.memory.load_u32(RSP_EVENT));
        self.published.set(new);
        must
    }

    /// The last look before sleeping: asks for an event with the next request and says whether one
    /// has come already.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn final_check(&self) -> Result<bool, PeerFault> {
        if self.has_request()? {
            return Ok(true);
        }
        self.memory
            .store_u32(REQ_EVENT, self.req_cons.get().wrapping_add(1));
        // The frontend must see that we sleep before we look for a request it did not announce.
        fence(Ordering::SeqCst);
        self.has_request()
    }

    /// Whether there is a request to take.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    #[inline]
    pub fn has_request(&self) -> Result<bool, PeerFault> {
        if let Some(fault) = self.fault.get() {
            return Err(fault);
        }
        let taken = self.req_cons.get();
        if self.req_prod.get() == taken {
            let theirs = self.memory.load_u32(REQ_PROD);
            // What is ahead of req_cons must fit beside what is still unanswered.
            let limit = self.capacity - self.unanswered();
            if let Err(fault) = ahead("req_prod", theirs, taken, limit) {
                self.fault.set(Some(fault));
                return Err(fault);
            }
            self.req_prod.set(theirs);
        }
        Ok(self.req_prod.get() != taken)
    }
}
