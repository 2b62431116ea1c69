//! The end of a ring that answers.

use core::sync::atomic::{Ordering, fence};

use hv::SharedMem;
use xen_abi::io::ring::{REQ_EVENT, REQ_PROD, RSP_EVENT, RSP_PROD, entries};

use crate::index::{ahead, must_notify, offset};
use crate::{PeerFault, RingFull};

/// The backend of a request ring (`*_back_ring` in ring.h).
///
/// After a [`PeerFault`] the ring stays in that state: every later look at it returns the same
/// fault.
#[derive(Debug)]
pub struct BackRing<M> {
    memory: M,
    entry_size: usize,
    capacity: u32,
    /// One past the last request taken.
    req_cons: u32,
    /// The frontend's `req_prod`, as it was last seen and found possible.
    req_prod: u32,
    /// One past the last response pushed.
    rsp_prod: u32,
    /// What of `rsp_prod` the frontend has been told.
    published: u32,
    fault: Option<PeerFault>,
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
            req_cons: start,
            req_prod: start,
            rsp_prod: start,
            published: start,
            fault: None,
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
        self.req_cons.wrapping_sub(self.rsp_prod)
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
    pub fn take(&mut self, request: &mut [u8]) -> Result<Option<()>, PeerFault> {
        assert!(request.len() <= self.entry_size, "a request fits an entry");
        if !self.has_request()? {
            return Ok(None);
        }
        let at = offset(self.req_cons, self.capacity, self.entry_size);
        self.memory.read(at, request);
        self.req_cons = self.req_cons.wrapping_add(1);
        Ok(Some(()))
    }

    /// Writes a response; the frontend sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    /// [`RingFull`] when every request taken has its response.
    ///
    /// # Panics
    /// If `response` is longer than an entry.
    #[inline]
    pub fn push(&mut self, response: &[u8]) -> Result<(), RingFull> {
        assert!(
            response.len() <= self.entry_size,
            "a response must fit an entry"
        );
        if self.unanswered() == 0 {
            return Err(RingFull);
        }
        let at = offset(self.rsp_prod, self.capacity, self.entry_size);
        self.memory.write(at, response);
        self.rsp_prod = self.rsp_prod.wrapping_add(1);
        Ok(())
    }

    /// Shows the frontend all responses pushed so far; says whether it must be sent an event.
    #[must_use = "the frontend may be asleep"]
    pub fn publish(&mut self) -> bool {
        let old = core::mem::replace(&mut self.published, self.rsp_prod);
        self.memory.store_u32(RSP_PROD, self.rsp_prod);
        // The frontend must see the responses before we look whether it went to sleep.
        fence(Ordering::SeqCst);
        must_notify(old, self.rsp_prod, self.memory.load_u32(RSP_EVENT))
    }

    /// The last look before sleeping: asks for an event with the next request and says whether one
    /// has come already.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn final_check(&mut self) -> Result<bool, PeerFault> {
        if self.has_request()? {
            return Ok(true);
        }
        self.memory
            .store_u32(REQ_EVENT, self.req_cons.wrapping_add(1));
        // The frontend must see that we sleep before we look for a request it did not announce.
        fence(Ordering::SeqCst);
        self.has_request()
    }

    /// Whether there is a request to take.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    #[inline]
    pub fn has_request(&mut self) -> Result<bool, PeerFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.req_prod == self.req_cons {
            let theirs = self.memory.load_u32(REQ_PROD);
            // What is ahead of req_cons must fit beside what is still unanswered.
            let limit = self.capacity - self.unanswered();
            if let Err(fault) = ahead("req_prod", theirs, self.req_cons, limit) {
                self.fault = Some(fault);
                return Err(fault);
            }
            self.req_prod = theirs;
        }
        Ok(self.req_prod != self.req_cons)
    }
}
