//! The end of a ring that asks.

use core::fmt;
use core::sync::atomic::{Ordering, fence};

use hv::SharedMem;
use xen_abi::io::ring::{REQ_EVENT, REQ_PROD, RSP_EVENT, RSP_PROD, entries};

use crate::PeerFault;
use crate::index::{ahead, must_notify, offset};

/// There is no free entry: responses must be taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingFull;

impl fmt::Display for RingFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring is full")
    }
}

impl core::error::Error for RingFull {}

/// The frontend of a request ring (`*_front_ring` in ring.h).
///
/// A request takes an entry from its [`push`](Self::push) until its response is
/// [`take`](Self::take)n; so requests and responses outstanding never exceed the ring. After a
/// [`PeerFault`] the ring stays in that state: every later look at it returns the same fault.
#[derive(Debug)]
pub struct FrontRing<M> {
    memory: M,
    entry_size: usize,
    capacity: u32,
    /// One past the last request pushed.
    req_prod: u32,
    /// What of `req_prod` the backend has been told.
    published: u32,
    /// One past the last response taken.
    rsp_cons: u32,
    /// The backend's `rsp_prod`, as it was last seen and found possible.
    rsp_prod: u32,
    fault: Option<PeerFault>,
}

impl<M: SharedMem> FrontRing<M> {
    /// Makes `memory` an empty ring with entries of `entry_size` bytes, the larger of request and
    /// response. Everything in it is overwritten.
    ///
    /// # Panics
    /// If not even one entry fits.
    #[must_use]
    pub fn init(memory: M, entry_size: usize) -> Self {
        Self::init_at(memory, entry_size, 0)
    }

    /// The same, with all indices starting at `index`.
    pub(crate) fn init_at(memory: M, entry_size: usize, index: u32) -> Self {
        let capacity = entries(memory.len(), entry_size);
        assert!(
            capacity != 0,
            "{} bytes are no ring of {entry_size} byte entries",
            memory.len()
        );
        memory.fill(0, memory.len(), 0);
        memory.store_u32(REQ_PROD, index);
        memory.store_u32(RSP_PROD, index);
        memory.store_u32(REQ_EVENT, index.wrapping_add(1));
        memory.store_u32(RSP_EVENT, index.wrapping_add(1));
        Self {
            memory,
            entry_size,
            capacity,
            req_prod: index,
            published: index,
            rsp_cons: index,
            rsp_prod: index,
            fault: None,
        }
    }

    /// How many entries the ring has.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Requests pushed whose responses have not been taken.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.req_prod.wrapping_sub(self.rsp_cons)
    }

    /// How many requests can be pushed now.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.capacity - self.outstanding()
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

    /// Writes a request; the backend sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    /// [`RingFull`] when no entry is free.
    ///
    /// # Panics
    /// If `request` is longer than an entry.
    pub fn push(&mut self, request: &[u8]) -> Result<(), RingFull> {
        assert!(
            request.len() <= self.entry_size,
            "a request must fit an entry"
        );
        if self.free() == 0 {
            return Err(RingFull);
        }
        let at = offset(self.req_prod, self.capacity, self.entry_size);
        self.memory.write(at, request);
        self.req_prod = self.req_prod.wrapping_add(1);
        Ok(())
    }

    /// Shows the backend all requests pushed so far; says whether it must be sent an event.
    #[must_use = "the backend may be asleep"]
    pub fn publish(&mut self) -> bool {
        let old = core::mem::replace(&mut self.published, self.req_prod);
        self.memory.store_u32(REQ_PROD, self.req_prod);
        // The backend must see the requests before we look whether it went to sleep.
        fence(Ordering::SeqCst);
        must_notify(old, self.req_prod, self.memory.load_u32(REQ_EVENT))
    }

    /// Copies the next response into `response`, its first bytes if that is shorter than an entry;
    /// `None` when there is none.
    ///
    /// The bytes are the peer's: the id and all else in them are still to be checked.
    ///
    /// # Errors
    /// A [`PeerFault`] if the backend claims more responses than it was shown requests.
    ///
    /// # Panics
    /// If `response` is longer than an entry.
    pub fn take(&mut self, response: &mut [u8]) -> Result<Option<()>, PeerFault> {
        assert!(
            response.len() <= self.entry_size,
            "a response fits an entry"
        );
        if !self.has_response()? {
            return Ok(None);
        }
        let at = offset(self.rsp_cons, self.capacity, self.entry_size);
        self.memory.read(at, response);
        self.rsp_cons = self.rsp_cons.wrapping_add(1);
        Ok(Some(()))
    }

    /// The last look before sleeping: asks for an event with the next response and says whether one
    /// has come already.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn final_check(&mut self) -> Result<bool, PeerFault> {
        if self.has_response()? {
            return Ok(true);
        }
        self.memory
            .store_u32(RSP_EVENT, self.rsp_cons.wrapping_add(1));
        // The backend must see that we sleep before we look for a response it did not announce.
        fence(Ordering::SeqCst);
        self.has_response()
    }

    /// As [`final_check`](Self::final_check) for who has no use for less than `count` responses:
    /// asks for an event when there are so many, and says whether there are already. There must be
    /// so many [`outstanding`](Self::outstanding).
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn final_check_for(&mut self, count: u32) -> Result<bool, PeerFault> {
        self.memory
            .store_u32(RSP_EVENT, self.rsp_cons.wrapping_add(count));
        // As in `final_check`.
        fence(Ordering::SeqCst);
        self.look()?;
        Ok(self.rsp_prod.wrapping_sub(self.rsp_cons) >= count)
    }

    fn has_response(&mut self) -> Result<bool, PeerFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.rsp_prod == self.rsp_cons {
            self.look()?;
        }
        Ok(self.rsp_prod != self.rsp_cons)
    }

    /// Reads how many responses there are.
    fn look(&mut self) -> Result<(), PeerFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let theirs = self.memory.load_u32(RSP_PROD);
        let seen = self.rsp_prod.wrapping_sub(self.rsp_cons);
        let limit = self.published.wrapping_sub(self.rsp_cons);
        let result = ahead("rsp_prod", theirs, self.rsp_cons, limit).and_then(|distance| {
            // What was seen once is not taken back.
            let possible = distance >= seen;
            possible.then_some(()).ok_or(PeerFault {
                name: "rsp_prod",
                theirs,
                ours: self.rsp_prod,
                limit: limit - seen,
            })
        });
        match result {
            Ok(()) => self.rsp_prod = theirs,
            Err(fault) => self.fault = Some(fault),
        }
        result
    }
}
