//! Watches, of guests over their rings and of daemons beside this one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use hv::DomId;

use super::tree::{Change, Tree, is_below};
use crate::ActorId;

/// A daemon's watch: the paths that changed, oldest first. Dropping it takes the watch away.
#[derive(Clone)]
pub struct Watching(pub(crate) Rc<RefCell<VecDeque<String>>>);

impl Watching {
    /// The next path that changed at or below the one watched.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        self.0.borrow_mut().pop_front()
    }

    /// Forgets all events; whether there were any.
    #[must_use]
    pub fn drain(&self) -> bool {
        let mut events = self.0.borrow_mut();
        let any = !events.is_empty();
        events.clear();
        any
    }
}

#[derive(Clone)]
pub(crate) enum Watcher {
    Guest {
        dom: DomId,
        token: String,
        /// What to cut off a path for a watch on a relative one.
        home: Option<String>,
    },
    Daemon {
        events: Weak<RefCell<VecDeque<String>>>,
        actor: ActorId,
    },
}

#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) path: String,
    pub(crate) watcher: Watcher,
}

impl Watch {
    /// The path to report for a change, if this watch is to hear of it.
    pub(crate) fn hears(&self, change: &Change) -> Option<String> {
        if let Watcher::Guest { dom, .. } = self.watcher
            && !Tree::may_read(&change.permissions, dom)
        {
            return None;
        }
        // When a node goes away with one above it, watches on the node itself hear of it
        // (`delete_node` of xenstored_core.c).
        let hears = if change.exact {
            change.path == self.path
        } else {
            is_below(&change.path, &self.path)
        };
        hears.then(|| change.path.clone())
    }

    pub(crate) fn is_of(&self, guest: DomId) -> bool {
        matches!(self.watcher, Watcher::Guest { dom, .. } if dom == guest)
    }

    /// Whether nobody listens any more.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(&self.watcher, Watcher::Daemon { events, .. } if events.strong_count() == 0)
    }
}
