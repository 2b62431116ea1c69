//! Who goes next.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

/// Lets one task at a time go on.
#[derive(Default)]
pub(crate) struct Turns {
    taken: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

/// The right to go on, until it is dropped.
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    /// Waits for the others.
    pub(crate) async fn take(&self) -> Turn<'_> {
        poll_fn(|context| {
            if !self.taken.replace(true) {
                return Poll::Ready(());
            }
            remember(&mut self.waiting.borrow_mut(), context.waker());
            Poll::Pending
        })
        .await;
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    /// Wakes all that wait: one that waits no more does not keep the others from their turn.
    fn drop(&mut self) {
        self.0.taken.set(false);
        for waker in self.0.waiting.take() {
            waker.wake();
        }
    }
}

/// Adds a task to those to be woken, if it is not among them.
pub(crate) fn remember(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.iter().any(|other| other.will_wake(waker)) {
        waiting.push(waker.clone());
    }
}
