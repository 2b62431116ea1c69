//! Tasks, and which of them are ready.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use hv::Instant;
use spin::Once;
use spin::mutex::SpinMutex;

use crate::timer::{Elapsed, Sleep, Timers};

/// How many polls one turn makes at most, so that a task that always wakes itself cannot keep the
/// run loop from looking at events and deadlines.
const POLLS_A_TURN: usize = 1024;

/// A handle to the executor; clones speak for the same one.
#[derive(Clone)]
pub struct Executor {
    inner: Rc<Inner>,
}

struct Inner {
    now: Cell<Instant>,
    tasks: RefCell<Tasks>,
    ready: Arc<ReadyQueue>,
    timers: RefCell<Timers>,
    polls: Cell<u64>,
    turns: Cell<u64>,
    /// Whom the next turn wakes.
    postponed: RefCell<Vec<Waker>>,
}

#[derive(Default)]
struct Tasks {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

enum Slot {
    Vacant,
    /// The future is out of its slot while it is being polled.
    Polling(Arc<Task>),
    Waiting(Arc<Task>, Pin<Box<dyn Future<Output = ()>>>),
}

struct Task {
    name: &'static str,
    index: usize,
    /// Set while the task stands in the queue, so that it never stands there twice: the queue's
    /// capacity, reserved at spawn, is then always enough and waking never allocates.
    queued: AtomicBool,
    queue: Arc<ReadyQueue>,
}

#[derive(Default)]
struct ReadyQueue {
    tasks: SpinMutex<VecDeque<Arc<Task>>>,
    /// The run loop sleeps, or is about to.
    asleep: AtomicBool,
    /// What ends its sleep.
    bell: Once<Box<dyn Fn() + Send + Sync>>,
}

impl ReadyQueue {
    /// Adds a task that is ready, and sees to it that it is polled.
    fn push(&self, task: Arc<Task>) {
        self.tasks.lock().push_back(task);
        // Whoever sleeps has looked at the tasks after he said that he does. One ring is enough.
        if self.asleep.load(Ordering::SeqCst)
            && self.asleep.swap(false, Ordering::SeqCst)
            && let Some(ring) = self.bell.get()
        {
            ring();
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.queue.push(self.clone());
        }
    }
}

/// A task as the shell shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskUse {
    /// The name it was spawned with.
    pub name: &'static str,
    /// Whether it waits to be polled.
    pub ready: bool,
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}

impl Executor {
    /// An executor without tasks, at time zero.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            now: Cell::default(),
            tasks: RefCell::default(),
            ready: Arc::default(),
            timers: RefCell::default(),
            polls: Cell::new(0),
            turns: Cell::new(0),
            postponed: RefCell::default(),
        };
        Self {
            inner: Rc::new(inner),
        }
    }

    /// Adds a task. It is polled for the first time in the current turn or the next one.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + 'static) {
        let mut tasks = self.inner.tasks.borrow_mut();
        let index = tasks.free.pop().unwrap_or(tasks.slots.len());
        let queue = self.inner.ready.clone();
        let task = Arc::new(Task {
            name,
            index,
            queued: AtomicBool::new(true),
            queue,
        });
        let slot = Slot::Waiting(task.clone(), Box::pin(future));
        if index == tasks.slots.len() {
            tasks.slots.push(slot);
            // A task that ends gives its index back; the room for that is taken now.
            let capacity = tasks.slots.len();
            let known = tasks.free.len();
            tasks.free.reserve(capacity - known);
        } else if let Some(vacant) = tasks.slots.get_mut(index) {
            *vacant = slot;
        }
        // A finished task may still stand in the queue once, so twice the slots are enough. It
        // grows when the list of the slots does.
        let wanted = tasks.slots.capacity() * 2;
        if self.inner.ready.tasks.lock().capacity() < wanted {
            // Got while the queue is not locked: another vCPU may want to wake a task meanwhile.
            let mut larger = VecDeque::with_capacity(wanted);
            let mut ready = self.inner.ready.tasks.lock();
            larger.append(&mut ready);
            core::mem::swap(&mut *ready, &mut larger);
        }
        self.inner.ready.tasks.lock().push_back(task);
    }

    /// Runs one turn at time `now`: wakes every task whose deadline has come, and polls ready tasks
    /// until none is left or the turn's budget is used up. Returns whether tasks are still ready,
    /// so that the caller must not sleep.
    #[inline]
    pub fn turn(&self, now: Instant) -> bool {
        self.inner.now.set(now.max(self.inner.now.get()));
        self.inner.turns.set(self.inner.turns.get() + 1);
        Timers::fire(&self.inner.timers, now);
        for waker in self.inner.postponed.borrow_mut().drain(..) {
            waker.wake();
        }
        for _ in 0..POLLS_A_TURN {
            let Some(task) = self.inner.ready.tasks.lock().pop_front() else {
                return !self.inner.postponed.borrow().is_empty();
            };
            task.queued.store(false, Ordering::Release);
            self.poll(&task);
        }
        !self.inner.ready.tasks.lock().is_empty() || !self.inner.postponed.borrow().is_empty()
    }

    fn poll(&self, task: &Arc<Task>) {
        let Some(mut future) = self.take(task) else {
            return;
        };
        self.inner.polls.set(self.inner.polls.get() + 1);
        let waker = Waker::from(task.clone());
        let done = future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready();
        let unfinished = (!done).then_some(future);
        // A finished future was just dropped, with nothing borrowed and its slot still taken: what
        // a task owns may spawn, wake or sleep in its own drop.
        let mut tasks = self.inner.tasks.borrow_mut();
        let Some(slot) = tasks.slots.get_mut(task.index) else {
            return;
        };
        if let Some(future) = unfinished {
            *slot = Slot::Waiting(task.clone(), future);
        } else {
            *slot = Slot::Vacant;
            tasks.free.push(task.index);
        }
    }

    /// Takes the task's future out of its slot, if the slot is still this task's: a waker may
    /// outlive its task.
    fn take(&self, task: &Arc<Task>) -> Option<Pin<Box<dyn Future<Output = ()>>>> {
        let mut tasks = self.inner.tasks.borrow_mut();
        let slot = tasks.slots.get_mut(task.index)?;
        let Slot::Waiting(owner, _) = slot else {
            return None;
        };
        if !Arc::ptr_eq(owner, task) {
            return None;
        }
        match core::mem::replace(slot, Slot::Polling(task.clone())) {
            Slot::Waiting(_, future) => Some(future),
            Slot::Vacant | Slot::Polling(_) => None,
        }
    }

    /// Has `ring` called when another run loop wakes a task of this one while it sleeps: `ring`
    /// ends that sleep. The first one counts. Without it only this loop's own turn may wake its
    /// tasks.
    pub fn set_bell(&self, ring: impl Fn() + Send + Sync + 'static) {
        self.inner.ready.bell.call_once(|| Box::new(ring));
    }

    /// Whether the run loop may sleep now, after a turn that left nothing: `false` if a task is
    /// ready, which another loop may have woken since. Until it has [woken](Self::woke) the bell
    /// rings for every task.
    #[must_use]
    pub fn may_sleep(&self) -> bool {
        let ready = &self.inner.ready;
        if ready.bell.get().is_none() {
            return true;
        }
        ready.asleep.store(true, Ordering::SeqCst);
        let may = ready.tasks.lock().is_empty();
        if !may {
            self.woke();
        }
        may
    }

    /// The run loop sleeps no more.
    pub fn woke(&self) {
        self.inner.ready.asleep.store(false, Ordering::SeqCst);
    }

    /// Drops every task: for a domain that ends while the program goes on, as in a simulator. Tasks
    /// own this executor and each other's parts, so nothing of them would be freed otherwise. Not
    /// to be called by a task.
    pub fn drop_tasks(&self) {
        loop {
            // Dropped with nothing borrowed: what a task owns may spawn or wake in its own drop.
            let tasks = self.inner.tasks.take();
            let ready = core::mem::take(&mut *self.inner.ready.tasks.lock());
            if tasks.slots.is_empty() && ready.is_empty() {
                return;
            }
        }
    }

    /// Wakes `waker` in the next turn, which is to come at once: for a task that has more to do,
    /// but wants events and deadlines looked at before. Waking itself would be heard in this turn.
    pub fn wake_next_turn(&self, waker: &Waker) {
        self.inner.postponed.borrow_mut().push(waker.clone());
    }

    /// The time that the current turn was given.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.inner.now.get()
    }

    /// When the next sleeping task must be woken; `None` if nobody sleeps.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.inner.timers.borrow().next_deadline()
    }

    /// Turns begun since the start: for a task that has its share once in each, however often it is
    /// woken.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.inner.turns.get()
    }

    /// Polls made since the start.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.inner.polls.get()
    }

    /// The tasks there are, in the order of their slots.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskUse> {
        let tasks = self.inner.tasks.borrow();
        let live = tasks.slots.iter().filter_map(|slot| match slot {
            Slot::Vacant => None,
            Slot::Polling(task) | Slot::Waiting(task, _) => Some(task),
        });
        live.map(|task| TaskUse {
            name: task.name,
            ready: task.queued.load(Ordering::Acquire),
        })
        .collect()
    }

    /// Waits until `deadline`.
    #[must_use]
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::new(self.clone(), deadline)
    }

    /// Waits for `duration` from now on.
    #[must_use]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now().after(duration))
    }

    /// Lets every other ready task run before going on.
    pub async fn yield_now(&self) {
        let mut yielded = false;
        core::future::poll_fn(|context| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Waits for `future`, at most for `limit`. A future that is ready at the deadline wins.
    ///
    /// # Errors
    /// [`Elapsed`] when the limit came first; the future is dropped then.
    pub async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut sleep = self.sleep(limit);
        core::future::poll_fn(|context| {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(value));
            }
            Pin::new(&mut sleep).poll(context).map(|()| Err(Elapsed))
        })
        .await
    }

    pub(crate) fn timers(&self) -> &RefCell<Timers> {
        &self.inner.timers
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("now", &self.now())
            .field("tasks", &self.tasks())
            .finish()
    }
}

#[cfg(test)]
mod tests;
