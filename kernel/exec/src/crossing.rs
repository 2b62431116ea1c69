//! From one run loop to another: what is sent there, and what comes back.
//!
//! Each vCPU turns its own run loop, whose tasks and what they share are not for other threads. So
//! nothing is shared between two loops but what is made for it: a job that is [`Send`] crosses
//! through a [`Mailbox`], is done there with what belongs to that loop, and what comes of it
//! crosses back. The compiler sees to it that nothing else does.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use spin::mutex::SpinMutex;

use crate::Executor;

/// How many jobs are begun in one turn at most: others may send them as fast as they are done.
const JOBS_A_TURN: usize = 64;

/// What is done on the other side, with its executor and what belongs to its loop.
type Job<L> = Box<dyn FnOnce(&Executor, &L) + Send>;

/// The way into a run loop, for all others; clones are the same one. `L` is what belongs to that
/// loop, and is given to every job.
pub struct Mailbox<L>(Arc<Inner<L>>);

struct Inner<L> {
    jobs: SpinMutex<VecDeque<Job<L>>>,
    /// Who serves the mailbox, while nothing is to be done.
    waiting: SpinMutex<Option<Waker>>,
}

impl<L> Clone for Mailbox<L> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<L> Default for Mailbox<L> {
    fn default() -> Self {
        Self(Arc::new(Inner {
            jobs: SpinMutex::default(),
            waiting: SpinMutex::default(),
        }))
    }
}

impl<L: 'static> Mailbox<L> {
    /// Has `job` done on the other side. Jobs are begun in the order they are sent.
    pub fn send(&self, job: impl FnOnce(&Executor, &L) + Send + 'static) {
        let job = Box::new(job);
        self.0.jobs.lock().push_back(job);
        let waiting = self.0.waiting.lock().take();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// Has a task run on the other side, as long as somebody waits for it, and waits for what comes
    /// of it.
    pub fn ask<T, F>(&self, job: impl FnOnce(&L) -> F + Send + 'static) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let slot = Arc::new(SpinMutex::new(Slot::Open {
            asker: None,
            worker: None,
        }));
        let promise = Promise(slot.clone());
        self.send(move |exec, local| {
            let task = job(local);
            exec.spawn("crossing", async move {
                promise.keep_with(task).await;
            });
        });
        Answer(slot)
    }

    /// Serves the mailbox for ever: by the one task of its loop that does, with what belongs to it.
    pub async fn serve(self, exec: Executor, local: L) {
        poll_fn(|context| {
            *self.0.waiting.lock() = Some(context.waker().clone());
            for _ in 0..JOBS_A_TURN {
                // Not locked while it is done: a job may send another one.
                let job = self.0.jobs.lock().pop_front();
                match job {
                    Some(job) => job(&exec, &local),
                    None => return Poll::<()>::Pending,
                }
            }
            exec.wake_next_turn(context.waker());
            Poll::Pending
        })
        .await
    }
}

/// Where an answer comes to.
enum Slot<T> {
    /// Not yet. Who waits for it, and who is at it.
    Open {
        asker: Option<Waker>,
        worker: Option<Waker>,
    },
    Kept(T),
    /// There will be none, or nobody wants it.
    Closed,
}

/// The side that answers.
struct Promise<T>(Arc<SpinMutex<Slot<T>>>);

impl<T> Promise<T> {
    /// Does `task`, and answers with what comes of it; drops it when nobody waits any more.
    async fn keep_with(self, task: impl Future<Output = T>) {
        let mut task = core::pin::pin!(task);
        let done = poll_fn(|context| {
            match &mut *self.0.lock() {
                Slot::Open { worker, .. } => *worker = Some(context.waker().clone()),
                Slot::Kept(_) | Slot::Closed => return Poll::Ready(None),
            }
            task.as_mut().poll(context).map(Some)
        });
        if let Some(value) = done.await {
            self.fill(Slot::Kept(value));
        }
    }

    fn fill(&self, with: Slot<T>) {
        let mut slot = self.0.lock();
        if let Slot::Open { asker, .. } = &mut *slot {
            let asker = asker.take();
            *slot = with;
            drop(slot);
            if let Some(asker) = asker {
                asker.wake();
            }
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.fill(Slot::Closed);
    }
}

/// What comes back; `None` if the other side ended without an answer. Who drops it ends what was
/// asked for there.
pub struct Answer<T>(Arc<SpinMutex<Slot<T>>>);

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.0.lock();
        match core::mem::replace(&mut *slot, Slot::Closed) {
            Slot::Open { worker, .. } => {
                let asker = Some(context.waker().clone());
                *slot = Slot::Open { asker, worker };
                Poll::Pending
            }
            Slot::Kept(value) => Poll::Ready(Some(value)),
            Slot::Closed => Poll::Ready(None),
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let slot = core::mem::replace(&mut *self.0.lock(), Slot::Closed);
        if let Slot::Open { worker, .. } = slot
            && let Some(worker) = worker
        {
            worker.wake();
        }
    }
}

/// What one run loop tells another again and again: the latest of it. Clones are the same.
pub struct Latest<T>(Arc<SpinMutex<Board<T>>>);

struct Board<T> {
    value: T,
    changed: bool,
    reader: Option<Waker>,
}

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Latest<T> {
    /// Nothing has been told yet.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Arc::new(SpinMutex::new(Board {
            value,
            changed: false,
            reader: None,
        })))
    }

    /// Changes what is told, and wakes who waits for that. `change` is called with a lock held.
    pub fn tell(&self, change: impl FnOnce(&mut T)) {
        let mut board = self.0.lock();
        change(&mut board.value);
        board.changed = true;
        let reader = board.reader.take();
        drop(board);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Looks at what was told last, or takes it. `look` is called with a lock held.
    pub fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut self.0.lock().value)
    }

    /// Ready if something was told since this was last ready. For one waiting task.
    pub fn poll_told(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut board = self.0.lock();
        if core::mem::take(&mut board.changed) {
            return Poll::Ready(());
        }
        board.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits until something was told since the last wait.
    pub async fn told(&self) {
        poll_fn(|context| self.poll_told(context)).await;
    }
}

#[cfg(test)]
mod tests;
