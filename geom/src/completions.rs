//! Where the requests of a holder with many of them end.
//!
//! An application awaits each of its requests. Somebody who serves a ring instead has hundreds out
//! at a time, wants no future for each, and takes what has ended in one go.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::task::Waker;

use crate::errno::Errno;

/// A queue of ended requests, each under the tag it was [submitted](crate::Device::submit) with.
///
/// Requests of any number of devices may end in one. A place is reserved when a request is made, so
/// that ending it allocates nothing.
#[derive(Default)]
pub struct Completions {
    ended: RefCell<VecDeque<(u64, Result<(), Errno>)>>,
    /// Requests that will end here and have not.
    outstanding: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

impl Completions {
    /// With places for `capacity` requests: those that are out, and those that have ended and were
    /// not popped. More may be made; the first that exceed it allocate.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Rc<Self> {
        Rc::new(Self {
            ended: RefCell::new(VecDeque::with_capacity(capacity)),
            ..Self::default()
        })
    }

    /// The request that ended first of those that were not popped: its tag, and `Ok` if all of it
    /// was done.
    #[must_use]
    #[inline]
    pub fn pop(&self) -> Option<(u64, Result<(), Errno>)> {
        self.ended.borrow_mut().pop_front()
    }

    /// How many requests will end here and have not.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.get()
    }

    /// Whom to wake when there is something to pop: once, when there was nothing before, and at
    /// once if there is something now. So whoever is woken pops until nothing is left. It may be
    /// woken inside [`Device::submit`](crate::Device::submit), and stays until another is set.
    pub fn set_waker(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        let same = slot.as_ref().is_some_and(|old| old.will_wake(waker));
        let old = if same {
            None
        } else {
            slot.replace(waker.clone())
        };
        drop(slot);
        drop(old);
        if !self.ended.borrow().is_empty() {
            waker.wake_by_ref();
        }
    }

    /// Wakes nobody from now on: for somebody who looks anyway.
    pub fn clear_waker(&self) {
        let old = self.waker.borrow_mut().take();
        drop(old);
    }

    /// Makes room for one more request.
    pub(crate) fn reserve(&self) {
        let mut ended = self.ended.borrow_mut();
        self.outstanding.set(self.outstanding.get() + 1);
        ended.reserve(self.outstanding.get());
    }

    /// Ends a request. The waker, if there is one, is the caller's to wake: not under a borrow.
    #[inline]
    pub(crate) fn push(&self, tag: u64, result: Result<(), Errno>) -> Option<Waker> {
        let mut ended = self.ended.borrow_mut();
        let first = ended.is_empty();
        self.outstanding.set(self.outstanding.get() - 1);
        ended.push_back((tag, result));
        drop(ended);
        if first {
            self.waker.borrow().clone()
        } else {
            None
        }
    }
}
