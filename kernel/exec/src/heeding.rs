//! Polling a future only when it asked for it.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use spin::mutex::SpinMutex;

/// A future that is polled when it was woken, not each time that its task is: for one that waits
/// for something rare in a task with much else to do.
pub struct Heeding<F> {
    future: F,
    call: Arc<Call>,
    waker: Waker,
}

/// Whether the future was woken, and whom to tell.
#[derive(Default)]
struct Call {
    woken: AtomicBool,
    task: SpinMutex<Option<Waker>>,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        let task = self.task.lock().clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl<F: Future + Unpin> Heeding<F> {
    /// It is polled for the first time when this is.
    pub fn new(future: F) -> Self {
        let call = Arc::new(Call {
            woken: AtomicBool::new(true),
            ..Call::default()
        });
        Self {
            future,
            waker: Waker::from(call.clone()),
            call,
        }
    }
}

impl<F: Future + Unpin> Future for Heeding<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let mut task = this.call.task.lock();
        if !task
            .as_ref()
            .is_some_and(|task| task.will_wake(context.waker()))
        {
            *task = Some(context.waker().clone());
        }
        drop(task);
        if !this.call.woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        Pin::new(&mut this.future).poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::poll_fn;
    use core::time::Duration;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use hv::Instant;

    use crate::Executor;

    #[test]
    fn it_is_polled_at_first_and_when_it_was_woken_and_not_with_its_task() {
        let exec = Executor::new();
        let (polls, task_polls) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let inner: Rc<RefCell<Option<Waker>>> = Rc::default();
        let outer: Rc<RefCell<Option<Waker>>> = Rc::default();
        let (seen, kept) = (polls.clone(), inner.clone());
        let mut heeding = Heeding::new(poll_fn(move |context| {
            seen.set(seen.get() + 1);
            *kept.borrow_mut() = Some(context.waker().clone());
            if seen.get() == 3 {
                Poll::Ready(7)
            } else {
                Poll::Pending
            }
        }));
        let (task_seen, task_kept) = (task_polls.clone(), outer.clone());
        let ended = Rc::new(Cell::new(0));
        let end = ended.clone();
        exec.spawn("both", async move {
            let value = poll_fn(|context| {
                task_seen.set(task_seen.get() + 1);
                *task_kept.borrow_mut() = Some(context.waker().clone());
                Pin::new(&mut heeding).poll(context)
            });
            end.set(value.await);
        });
        let wake = |whose: &RefCell<Option<Waker>>| {
            let waker = whose.borrow_mut().take();
            waker.unwrap().wake();
            exec.turn(Instant(0).after(Duration::ZERO));
        };
        exec.turn(Instant(0));
        wake(&outer);
        wake(&outer);
        assert_eq!((polls.get(), task_polls.get()), (1, 3));
        wake(&inner);
        assert_eq!((polls.get(), task_polls.get()), (2, 4));
        wake(&outer);
        assert_eq!((polls.get(), ended.get()), (2, 0));
        wake(&inner);
        assert_eq!((polls.get(), ended.get()), (3, 7));
    }
}
