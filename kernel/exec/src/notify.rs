//! One task tells another that something changed.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};

/// "Something changed; look again." Any number of notifications before a wait count as one, and
/// none is lost.
///
/// It is for one waiting task: of two that wait at once, only the later one is woken.
#[derive(Default)]
pub struct Notify {
    changed: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Notify {
    /// Nothing has changed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            changed: Cell::new(false),
            waiter: RefCell::new(None),
        }
    }

    /// Tells the waiting task, or the next one that waits.
    pub fn notify(&self) {
        self.changed.set(true);
        let waiter = self.waiter.borrow_mut().take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Waits until [`notify`](Self::notify) has been called since the last wait ended.
    pub async fn notified(&self) {
        poll_fn(|context| self.poll_notified(context)).await;
    }

    /// [`notified`](Self::notified) for a future written by hand.
    pub fn poll_notified(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.changed.replace(false) {
            return Poll::Ready(());
        }
        *self.waiter.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}
