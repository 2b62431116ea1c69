//! How many bytes of requests may be under way.

use alloc::rc::Rc;
use core::cell::Cell;
use core::future::poll_fn;
use core::task::Poll;

use crate::memory::Memory;
use crate::waiters::Waiters;

/// The most that one request has under way, in bytes; a longer one goes in pieces.
pub(crate) const WINDOW: u32 = 2 * PIECE;
/// One piece of a long request. blkback has the same: other holders of the disk wait no longer.
pub(crate) const PIECE: u32 = 128 << 10;
/// What a request counts for at least, for its answer and what is kept of it.
pub(crate) const LEAST: u32 = 4096;
/// What each client has for itself. A request must fit into it.
const OWN: u64 = WINDOW as u64;

/// Bounds of one server, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What one client may have under way; at least 256 KiB, which it has for itself.
    pub client: u64,
    /// What all clients together may have under way beyond the 256 KiB that each has for itself.
    pub shared: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            client: 1 << 20,
            shared: 4 << 20,
        }
    }
}

/// Of the memory there is, what clients share at most: one byte in so many.
const PART: u64 = 16;

impl Limits {
    /// Those of a domain whose heap can take so many bytes: the usual ones, or less.
    #[must_use]
    pub fn of(room: usize) -> Self {
        let usual = Self::default();
        let shared = (room as u64 / PART).clamp(PIECE.into(), usual.shared);
        Self {
            client: usual.client.min(OWN + shared / 2),
            shared,
        }
    }
}

/// What clients share.
pub(crate) struct Pool {
    limits: Limits,
    memory: Memory,
    used: Cell<u64>,
    /// At most one of each client.
    waiters: Waiters,
}

impl Pool {
    pub(crate) fn new(limits: Limits, memory: Memory) -> Rc<Self> {
        Rc::new(Self {
            limits,
            memory,
            used: Cell::new(0),
            waiters: Waiters::default(),
        })
    }
}

/// One client's part.
pub(crate) struct Share {
    pool: Rc<Pool>,
    used: Cell<u64>,
}

impl Share {
    pub(crate) fn new(pool: &Rc<Pool>) -> Rc<Self> {
        Rc::new(Self {
            pool: pool.clone(),
            used: Cell::new(0),
        })
    }

    /// Where its buffers come from.
    pub(crate) fn memory(&self) -> &Memory {
        &self.pool.memory
    }

    /// Waits until a request about `length` bytes may begin: in what the client has for itself, or
    /// in what is shared. One task of each client may wait.
    pub(crate) async fn take(self: &Rc<Self>, length: u32) -> Permit {
        poll_fn(|context| match self.try_take(length) {
            Some(permit) => Poll::Ready(permit),
            None => {
                self.pool.waiters.wait(context.waker());
                Poll::Pending
            }
        })
        .await
    }

    fn try_take(self: &Rc<Self>, length: u32) -> Option<Permit> {
        let bytes = u64::from(length.clamp(LEAST, WINDOW));
        let (before, after) = (self.used.get(), self.used.get() + bytes);
        let shared = beyond(after) - beyond(before);
        let limits = self.pool.limits;
        let pool = self.pool.used.get() + shared;
        if shared > 0 && (after > limits.client || pool > limits.shared) {
            return None;
        }
        self.used.set(after);
        self.pool.used.set(pool);
        Some(Permit {
            share: self.clone(),
            bytes,
        })
    }
}

/// What of a client's bytes is not its own.
fn beyond(used: u64) -> u64 {
    used.saturating_sub(OWN)
}

/// A request's right to its bytes; dropping it gives them back.
pub(crate) struct Permit {
    share: Rc<Share>,
    bytes: u64,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let share = &self.share;
        let (before, after) = (share.used.get(), share.used.get() - self.bytes);
        share.used.set(after);
        let shared = beyond(before) - beyond(after);
        share.pool.used.set(share.pool.used.get() - shared);
        share.pool.waiters.wake();
    }
}
