//! Tasks that wait for the same thing.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::task::Waker;

/// Who is to look again when something changes; each task once.
#[derive(Default)]
pub(crate) struct Waiters {
    wakers: RefCell<Vec<Waker>>,
}

impl Waiters {
    /// Has the task woken by the next [`wake`](Self::wake).
    pub(crate) fn wait(&self, waker: &Waker) {
        let mut wakers = self.wakers.borrow_mut();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    /// Wakes all that wait.
    pub(crate) fn wake(&self) {
        let wakers = self.wakers.take();
        wakers.into_iter().for_each(Waker::wake);
    }
}
