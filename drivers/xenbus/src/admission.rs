//! How many transactions are open at once.
//!
//! The daemon lets a guest have 10 (`quota_max_transaction` of xenstored) and refuses the next one.
//! Sixteen disks that appear together want one each at the same moment, so they take turns.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

/// Transactions that may be open at once; a little less than the daemon allows, as an administrator
/// may have lowered that.
const OPEN_AT_ONCE: usize = 6;

/// The transactions that are open, and who waits to open one.
#[derive(Default)]
pub(crate) struct Admission {
    open: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

/// The right to have one transaction open; dropping it lets the next one in. Requests are sent in
/// order, so the daemon hears of the end of the one before the start of the next.
pub(crate) struct Admitted(Rc<Admission>);

impl Admission {
    /// Waits for the right to open a transaction.
    pub(crate) async fn admit(self: &Rc<Self>) -> Admitted {
        poll_fn(|context| {
            let open = self.open.get();
            if open < OPEN_AT_ONCE {
                self.open.set(open + 1);
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
        Admitted(self.clone())
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        // All of them: one that was woken may have given up waiting.
        for waker in self.0.waiting.take() {
            waker.wake();
        }
    }
}
