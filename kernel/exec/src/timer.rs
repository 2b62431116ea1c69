//! Deadlines.

use alloc::collections::BTreeMap;
use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use hv::Instant;

use crate::Executor;

/// Sleeping tasks by deadline; the number keeps equal deadlines apart and in order.
#[derive(Default)]
pub(crate) struct Timers {
    sleeping: BTreeMap<(Instant, u64), Waker>,
    next_number: u64,
}

impl Timers {
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.sleeping
            .first_key_value()
            .map(|((deadline, _), _)| *deadline)
    }

    /// Wakes everyone whose deadline is `now` or earlier.
    pub(crate) fn fire(timers: &RefCell<Self>, now: Instant) {
        let mut timers = timers.borrow_mut();
        while let Some(entry) = timers.sleeping.first_entry() {
            if entry.key().0 > now {
                break;
            }
            entry.remove().wake();
        }
    }
}

/// A wait for a deadline; made by [`Executor::sleep`]. Dropping it forgets the deadline.
pub struct Sleep {
    executor: Executor,
    deadline: Instant,
    number: Option<u64>,
}

impl Sleep {
    pub(crate) fn new(executor: Executor, deadline: Instant) -> Self {
        Self {
            executor,
            deadline,
            number: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.now() >= self.deadline {
            return Poll::Ready(());
        }
        let deadline = self.deadline;
        let known = self.number;
        let mut timers = self.executor.timers().borrow_mut();
        let number = known.unwrap_or_else(|| {
            timers.next_number += 1;
            timers.next_number
        });
        timers
            .sleeping
            .insert((deadline, number), context.waker().clone());
        drop(timers);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.executor
                .timers()
                .borrow_mut()
                .sleeping
                .remove(&(self.deadline, number));
        }
    }
}

/// A deadline came before what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl core::error::Error for Elapsed {}
