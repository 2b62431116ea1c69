//! Watches: "something changed there", and "this changed there".

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::task::{Context, Poll};

use exec::Notify;

use crate::changes::Changes;
use crate::client::{ANSWER_DEADLINE, Client};
use crate::error::StoreError;

/// What the daemon knows of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing yet.
    Wanted,
    /// It is being told.
    Registering,
    /// Everything.
    Live,
    /// It is being told to forget it.
    Unregistering,
}

/// A watch as handle and task share it.
pub(crate) struct WatchState {
    pub(crate) token: u32,
    path: String,
    /// What changed, if the owner wants to know it.
    tree: Option<Tree>,
    pub(crate) phase: Cell<Phase>,
    /// The handle is gone.
    pub(crate) dropped: Cell<bool>,
    /// Events since the owner last looked: one or none.
    changed: Notify,
    registered: Notify,
    failed: Cell<Option<StoreError>>,
}

/// What changed since the owner of a [`TreeWatch`] last looked.
struct Tree {
    depth: usize,
    changes: RefCell<Changes>,
}

impl WatchState {
    /// Tells nodes apart down to `depth`, if there is one.
    pub(crate) fn new(token: u32, path: &str, depth: Option<usize>) -> Self {
        Self {
            token,
            path: String::from(path),
            tree: depth.map(|depth| Tree {
                depth,
                changes: RefCell::new(Changes::none()),
            }),
            phase: Cell::new(Phase::Wanted),
            dropped: Cell::new(false),
            changed: Notify::new(),
            registered: Notify::new(),
            failed: Cell::new(None),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// How far down nodes are told apart; 1 if the owner does not want to know what changed.
    pub(crate) fn depth(&self) -> usize {
        self.tree.as_ref().map_or(1, |tree| tree.depth)
    }

    /// The payload of `WATCH` and of `UNWATCH`.
    pub(crate) fn payload(&self) -> Vec<u8> {
        format!("{}\0{}\0", self.path, self.token).into_bytes()
    }

    /// Something changed at `path`, as the daemon says.
    pub(crate) fn event(&self, path: &[u8]) {
        if let Some(tree) = &self.tree {
            tree.changes.borrow_mut().note(&self.path, tree.depth, path);
        }
        self.changed.notify();
    }

    /// Another watch on the same node, which tells nodes apart as far down, saw this.
    pub(crate) fn take_in(&self, changes: Changes) {
        if let Some(tree) = &self.tree {
            tree.changes.borrow_mut().add(&changes);
        }
        self.changed.notify();
    }

    pub(crate) fn registered(&self) {
        self.phase.set(Phase::Live);
        self.registered.notify();
    }

    pub(crate) fn fail(&self, error: StoreError) {
        self.failed.set(Some(error));
        self.registered.notify();
        self.changed.notify();
    }
}

/// A watch on a node and everything below it; made by [`Store::watch`](crate::Store::watch).
/// Dropping it takes it back.
///
/// It is for one waiting task.
pub struct Watch {
    client: Rc<Client>,
    state: Rc<WatchState>,
}

impl Watch {
    pub(crate) async fn register(
        client: Rc<Client>,
        path: &str,
        depth: Option<usize>,
    ) -> Result<Self, StoreError> {
        let state = client.add_watch(path, depth)?;
        // From here on a dropped future takes the watch back.
        let watch = Self { client, state };
        let registered = watch.state.registered.notified();
        let in_time = watch.client.exec.timeout(ANSWER_DEADLINE, registered).await;
        in_time.map_err(|_| StoreError::TimedOut)?;
        watch.check().map(|()| watch)
    }

    /// The path watched.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.state.path
    }

    /// Waits until something may have changed at or below the path since the last wait ended. The
    /// first wait ends at once: the store reports a new watch as changed. Any number of changes
    /// between two waits count as one, so a storm of them costs no memory (XSA-349).
    ///
    /// # Errors
    /// The store is lost, or refused the watch after a reconnect. Every later wait fails too.
    pub async fn changed(&self) -> Result<(), StoreError> {
        self.check()?;
        self.state.changed.notified().await;
        self.check()
    }

    /// Whether the watch still watches.
    ///
    /// # Errors
    /// As [`changed`](Self::changed).
    pub fn check(&self) -> Result<(), StoreError> {
        self.state.failed.get().map_or(Ok(()), Err)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.state.dropped.set(true);
        self.client.work.notify();
    }
}

/// A watch that also says what changed; made by [`Store::watch_tree`](crate::Store::watch_tree).
/// Dropping it takes it back.
///
/// It is for one waiting task.
pub struct TreeWatch(Watch);

impl TreeWatch {
    pub(crate) async fn register(
        client: Rc<Client>,
        path: &str,
        depth: usize,
    ) -> Result<Self, StoreError> {
        Watch::register(client, path, Some(depth)).await.map(Self)
    }

    /// The path watched.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// Waits until something may have changed at or below the path since the last wait ended, and
    /// says what. The first wait ends at once, with [`Changes::Everything`].
    ///
    /// # Errors
    /// As [`Watch::changed`].
    pub async fn changed(&self) -> Result<Changes, StoreError> {
        loop {
            self.0.changed().await?;
            if let Some(changes) = self.take() {
                return Ok(changes);
            }
        }
    }

    /// Whether the watch still watches.
    ///
    /// # Errors
    /// As [`Watch::changed`].
    pub fn check(&self) -> Result<(), StoreError> {
        self.0.check()
    }

    /// What changed since it was last asked for, if anything did.
    pub(crate) fn take(&self) -> Option<Changes> {
        let tree = self.0.state.tree.as_ref()?;
        let changes = tree.changes.replace(Changes::none());
        (!changes.is_none()).then_some(changes)
    }

    /// Waits until there is something to [`take`](Self::take), or the watch has failed.
    pub(crate) fn poll_changed(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.state.changed.poll_notified(context)
    }
}
