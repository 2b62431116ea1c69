//! The task that watches the control nodes.

use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use exec::{Executor, Level, Log, Notify, Trace, info, warn};
use hv::{Hypervisor, ShutdownReason};
use pv::Pv;
use xenbus::{Store, StoreError, Watch};

use crate::word::{Shutdown, Sysrq};

const PART: &str = "control";
const SHUTDOWN: &str = "control/shutdown";
const SYSRQ: &str = "control/sysrq";
/// What the domain tells the toolstack it can do.
const FEATURES: [&str; 3] = [
    "control/feature-poweroff",
    "control/feature-reboot",
    "control/feature-suspend",
];
/// Lines of the trace that sysrq `t` logs at most.
const TRACE_LINES: usize = 32;

/// What the administrator has asked for.
#[derive(Clone)]
pub struct Control {
    asked: Rc<Asked>,
}

#[derive(Default)]
struct Asked {
    /// The latest wish wins: `xl destroy` aside, there is only one end.
    reason: Cell<Option<ShutdownReason>>,
    some: Notify,
    suspend: Cell<bool>,
    suspending: Notify,
    /// The domain lives anew, and its nodes are new ones.
    anew: Notify,
}

impl Control {
    /// Publishes what the domain can do and watches what it is asked to. To be called once per
    /// domain.
    pub fn start<H: Hypervisor>(pv: &Pv<H>, store: &Store) -> Self {
        let asked = Rc::<Asked>::default();
        let task = Rc::new(Task {
            exec: pv.exec.clone(),
            log: pv.log.clone(),
            trace: pv.trace.clone(),
            store: store.clone(),
            asked: asked.clone(),
        });
        pv.exec.spawn("features", task.clone().say());
        pv.exec.spawn("control", task.run());
        Self { asked }
    }

    /// Waits until the administrator asks for the domain's end. The wish has been acknowledged: the
    /// toolstack, which gives a guest 60 seconds to do so, knows that it was heard. For one waiter.
    pub async fn asked_to_end(&self) -> ShutdownReason {
        loop {
            if let Some(reason) = self.asked.reason.take() {
                return reason;
            }
            self.asked.some.notified().await;
        }
    }
}

impl Control {
    /// Waits until the administrator asks for the domain to be suspended, so that it can be saved
    /// or migrated. The wish has been acknowledged; the toolstack waits another 60 seconds for the
    /// domain to be suspended. For one waiter.
    pub async fn asked_to_suspend(&self) {
        while !self.asked.suspend.take() {
            self.asked.suspending.notified().await;
        }
    }

    /// Forgets that it was asked for: to be called when the domain is about to be suspended, since
    /// a wish that came meanwhile is answered by that, and nobody would save the domain again.
    pub fn forget_suspend(&self) {
        self.asked.suspend.set(false);
    }

    /// The domain lives anew: tells its toolstack what it can do.
    pub fn begin_anew(&self) {
        self.asked.anew.notify();
    }
}

/// It does not know the hypervisor: so it is compiled once, and for size.
struct Task {
    exec: Executor,
    log: Log,
    trace: Arc<Trace>,
    store: Store,
    asked: Rc<Asked>,
}

impl Task {
    async fn run(self: Rc<Self>) {
        loop {
            match self.watch().await {
                // A domain that goes on beside its copy finds its requests a minute old.
                Err(StoreError::TimedOut) => {}
                Ok(()) => return,
                Err(error) => {
                    let text = format_args!("shutdown requests are not heard any more: {error}");
                    return self.log.write(Level::Warn, PART, text);
                }
            }
        }
    }

    async fn publish(&self) {
        for node in FEATURES {
            if let Err(error) = self.store.write(node, "1").await {
                warn!(self.log, PART, "{node}: {error}");
            }
        }
    }

    /// Says what the domain can do, in each of its lives.
    async fn say(self: Rc<Self>) {
        loop {
            self.publish().await;
            self.asked.anew.notified().await;
        }
    }

    async fn watch(&self) -> Result<(), StoreError> {
        let shutdown = self.store.watch(SHUTDOWN).await?;
        let sysrq = self.store.watch(SYSRQ).await?;
        loop {
            let (shutdown_changed, sysrq_changed) = changed(&shutdown, &sysrq).await?;
            if shutdown_changed {
                self.shutdown(&self.take(SHUTDOWN).await?);
            }
            if sysrq_changed {
                self.sysrq(&self.take(SYSRQ).await?);
            }
        }
    }

    /// Reads a node and empties it, which acknowledges its value. What is written meanwhile is not
    /// lost: it conflicts, or comes with an event of its own.
    async fn take(&self, node: &str) -> Result<Vec<u8>, StoreError> {
        let taken = self
            .store
            .transaction(async |store: &Store| {
                let value = store.read_bytes(node).await?;
                if !value.is_empty() {
                    store.write(node, "").await?;
                }
                Ok(value)
            })
            .await;
        match taken {
            Ok(value) => Ok(value),
            Err(StoreError::NoEntry) => Ok(Vec::new()),
            Err(error @ (StoreError::Lost(_) | StoreError::TimedOut)) => Err(error),
            Err(error) => {
                // Better heard without an acknowledgement than not at all.
                let text = format_args!("{node} cannot be acknowledged: {error}");
                self.log.limited(Level::Warn, PART, text);
                Ok(self.store.read_bytes(node).await.unwrap_or_default())
            }
        }
    }

    fn shutdown(&self, value: &[u8]) {
        let log = &self.log;
        match Shutdown::parse(value) {
            Shutdown::Nothing => {}
            Shutdown::End(reason) => self.end(reason, SHUTDOWN),
            Shutdown::Suspend => {
                self.asked.suspend.set(true);
                self.asked.suspending.notify();
            }
            Shutdown::Unknown(word) => {
                log.limited(
                    Level::Warn,
                    PART,
                    format_args!("{SHUTDOWN}: {word:?} is not known"),
                );
            }
        }
    }

    fn sysrq(&self, value: &[u8]) {
        let log = &self.log;
        match Sysrq::parse(value) {
            Sysrq::Nothing => {}
            Sysrq::End(reason) => self.end(reason, SYSRQ),
            Sysrq::Tasks => self.log_tasks(),
            Sysrq::Unknown(word) => {
                let text = format_args!("{SYSRQ}: {word:?} is none of b, c, o and t");
                log.limited(Level::Warn, PART, text);
            }
        }
    }

    fn end(&self, reason: ShutdownReason, node: &str) {
        info!(self.log, PART, "{reason:?} asked for by {node}");
        self.asked.reason.set(Some(reason));
        self.asked.some.notify();
    }

    fn log_tasks(&self) {
        let log = &self.log;
        for task in self.exec.tasks() {
            let state = if task.ready { "ready" } else { "waiting" };
            info!(log, PART, "task {} is {state}", task.name);
        }
        let mut entries = Vec::new();
        self.trace.try_for_each(|entry| entries.push(*entry));
        for entry in entries
            .iter()
            .skip(entries.len().saturating_sub(TRACE_LINES))
        {
            info!(log, PART, "{entry}");
        }
    }
}

/// Waits for either watch; says which have fired.
async fn changed(one: &Watch, other: &Watch) -> Result<(bool, bool), StoreError> {
    let (mut first, mut second) = (pin!(one.changed()), pin!(other.changed()));
    let fired = poll_fn(|context| {
        let first = first.as_mut().poll(context).is_ready();
        let second = second.as_mut().poll(context).is_ready();
        if first || second {
            Poll::Ready((first, second))
        } else {
            Poll::Pending
        }
    })
    .await;
    one.check()?;
    other.check()?;
    Ok(fired)
}
