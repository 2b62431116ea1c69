//! Where completions wait, and the bell that asks for a poll.

use alloc::collections::VecDeque;
use core::cell::{Cell, RefCell};
use core::task::Waker;

use crate::errno::Errno;
use crate::id::RequestId;

/// The end of one piece.
#[derive(Clone, Copy)]
pub(crate) struct Completion {
    pub(crate) request: RequestId,
    pub(crate) result: Result<(), Errno>,
    pub(crate) dropped: bool,
}

/// Where completions wait for the next poll, and the bell that asks for one.
#[derive(Default)]
pub(crate) struct Inbox {
    /// The one that waits longest. There is no other of a disk that completes at once.
    first: Cell<Option<Completion>>,
    /// Those behind it.
    others: RefCell<VecDeque<Completion>>,
    /// How many of those there are.
    behind: Cell<usize>,
    /// Bios that were not taken out of here again.
    outstanding: Cell<usize>,
    /// Bios that there is room for.
    room: Cell<usize>,
    waker: RefCell<Option<Waker>>,
    polling: Cell<bool>,
    rung: Cell<bool>,
}

impl Inbox {
    /// Makes room for one more completion, so that completing need not allocate.
    #[inline]
    pub(crate) fn reserve(&self) {
        let wanted = self.outstanding.get() + 1;
        self.outstanding.set(wanted);
        if wanted > self.room.get() {
            self.grow(wanted);
        }
    }

    #[cold]
    fn grow(&self, wanted: usize) {
        let mut others = self.others.borrow_mut();
        let missing = wanted - others.len();
        others.reserve(missing);
        self.room.set(others.capacity());
    }

    #[inline(never)]
    pub(crate) fn push(&self, completion: Completion) {
        if self.first.get().is_none() {
            self.first.set(Some(completion));
        } else {
            self.others.borrow_mut().push_back(completion);
            self.behind.set(self.behind.get() + 1);
        }
    }

    /// Asks for a poll that looks at what a driver has completed, unless somebody is about to.
    #[inline]
    pub(crate) fn ring_from_driver(&self) {
        if !self.polling.get() {
            self.ring();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.get().is_none()
    }

    pub(crate) fn pop(&self) -> Option<Completion> {
        let completion = self.first.get()?;
        self.first.set(None);
        self.outstanding.set(self.outstanding.get() - 1);
        if self.behind.get() > 0 {
            self.behind.set(self.behind.get() - 1);
            self.first.set(self.others.borrow_mut().pop_front());
        }
        Some(completion)
    }

    /// The results that wait, in their order.
    #[cfg(test)]
    pub(crate) fn describe(&self) -> std::string::String {
        let others = self.others.borrow();
        let waiting = self.first.get().into_iter().chain(others.iter().copied());
        let results = waiting.map(|completion| completion.result);
        std::format!("{:?}", results.collect::<std::vec::Vec<_>>())
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        let same = self
            .waker
            .borrow()
            .as_ref()
            .is_some_and(|old| old.will_wake(waker));
        if !same {
            let old = self.waker.replace(Some(waker.clone()));
            drop(old);
        }
        if self.rung.get() {
            waker.wake_by_ref();
        }
    }

    /// Asks for a poll: once, until there was one. During one, the poll itself will notice.
    pub(crate) fn ring(&self) {
        if self.rung.replace(true) || self.polling.get() {
            return;
        }
        let waker = self.waker.borrow().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Enters a poll, or a submission, which ends what completes at once; `None` if one of them is
    /// running already.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Entered> {
        if self.polling.replace(true) {
            return None;
        }
        let rung = self.rung.replace(false);
        Some(Entered { rung })
    }

    /// Leaves a poll, and asks for another if work is `due` that it has not done.
    pub(crate) fn leave_poll(&self, due: bool) {
        self.polling.set(false);
        self.rung.set(false);
        if due {
            self.ring();
        }
    }

    /// Leaves a submission, and asks for a poll if one was asked for meanwhile. One that was asked
    /// for before is still to come.
    #[inline]
    pub(crate) fn leave_submission(&self, entered: Entered) {
        self.polling.set(false);
        let due = self.rung.replace(entered.rung);
        if due {
            self.ring();
        }
    }
}

/// A poll or a submission that was entered.
pub(crate) struct Entered {
    /// A poll was asked for before.
    rung: bool,
}
