//! The xenstore daemon: the real wire protocol for guests, a direct one for daemons of domain 0.
//!
//! - `wire`: messages
//! - `tree`: nodes and permissions
//! - `transaction`: edits that are made together or not at all
//! - `watch`: who hears of changes
//! - `connection`: one guest's ring
//! - `request`: what each request does

mod connection;
mod request;
mod transaction;
mod tree;
pub mod watch;
pub mod wire;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use hv::DomId;

use crate::{Actor, ActorId, Next, World, Xen};
use connection::Connection;
use transaction::Edit;
use tree::{Change, Tree, absolute};
use watch::{Watch, Watcher};

pub use tree::Permission;
pub use watch::Watching;
pub use wire::{Message, Refusal};

const DOM0: DomId = DomId(0);

/// What a guest holds of xenstore; compared before and after, it shows leaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreUsage {
    /// Watches set.
    pub watches: usize,
    /// Transactions open.
    pub transactions: usize,
    /// Nodes owned.
    pub nodes: usize,
}

pub(crate) struct State {
    tree: Rc<Tree>,
    watches: Vec<Watch>,
    first_events: Vec<(Watch, String)>,
    connections: Vec<Connection>,
    /// Commits of guests still to be refused with `EAGAIN`.
    conflicts: u32,
}

/// The daemon; clones are the same one. The methods are domain 0's own way in, past any ring.
#[derive(Clone)]
pub struct Xenstored {
    xen: Xen,
    actor: ActorId,
    state: Rc<RefCell<State>>,
    silent: Rc<Cell<bool>>,
    latency: Rc<Cell<Duration>>,
    requests: Rc<Cell<u64>>,
}

impl Xenstored {
    /// Starts the daemon with an empty tree.
    #[must_use]
    pub fn start(world: &World) -> Self {
        let state = Rc::new(RefCell::new(State {
            tree: Rc::new(Tree::default()),
            watches: Vec::new(),
            first_events: Vec::new(),
            connections: Vec::new(),
            conflicts: 0,
        }));
        let silent = Rc::new(Cell::new(false));
        let latency = Rc::new(Cell::new(Duration::ZERO));
        let requests = Rc::new(Cell::new(0));
        let daemon = Daemon {
            state: state.clone(),
            silent: silent.clone(),
            latency: latency.clone(),
            requests: requests.clone(),
        };
        let actor = world.spawn("xenstored", Rc::new(RefCell::new(daemon)));
        Self {
            xen: world.xen(),
            actor,
            state,
            silent,
            latency,
            requests,
        }
    }

    /// Connects a domain: from now on its ring is served.
    ///
    /// # Panics
    /// If the domain's port is not open.
    pub fn introduce(&self, dom: DomId) {
        let (page, remote) = self.xen.xenstore_ring_of(dom, DOM0);
        let port = self
            .xen
            .evtchn_bind_interdomain(DOM0, dom, remote)
            .expect("a new domain's port is open");
        let connection = Connection::open(dom, page, port);
        self.state.borrow_mut().connections.push(connection);
        self.xen.own_port(DOM0, port, self.actor);
    }

    /// Forgets a domain: its connection, watches and transactions, and the nodes that it owns
    /// (`domain_tree_remove` in xenstored_domain.c). What is others' in its home stays.
    pub fn release(&self, dom: DomId) {
        self.state
            .borrow_mut()
            .watches
            .retain(|watch| !watch.is_of(dom));
        let owned = self.state.borrow().tree.paths_owned_by(dom);
        self.edit(owned.into_iter().map(Edit::Remove).collect());
        let mut state = self.state.borrow_mut();
        state.connections.retain(|connection| {
            if connection.dom == dom {
                // The guest's end may be gone, this one is not.
                let _ = self.xen.evtchn_close(DOM0, connection.port());
            }
            connection.dom != dom
        });
    }

    /// A node's value, if it is text.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<String> {
        String::from_utf8(self.read_bytes(path)?).ok()
    }

    /// A node's value.
    #[must_use]
    pub fn read_bytes(&self, path: &str) -> Option<Vec<u8>> {
        let path = absolute(DOM0, path).ok()?;
        let state = self.state.borrow();
        state.tree.get(&path).map(|node| node.value.clone())
    }

    /// Whether there is such a node.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.read_bytes(path).is_some()
    }

    /// The names of a node's children; none if there is no such node.
    #[must_use]
    pub fn list(&self, path: &str) -> Vec<String> {
        let state = self.state.borrow();
        let node = state.tree.get(path);
        node.map_or_else(Vec::new, |node| node.children.iter().cloned().collect())
    }

    /// Writes a node and makes those above it.
    pub fn write(&self, path: &str, value: impl AsRef<[u8]>) {
        self.together(&[(path, Some(value.as_ref()))]);
    }

    /// Removes a node and all below it.
    pub fn remove(&self, path: &str) {
        self.together(&[(path, None)]);
    }

    /// Writes or removes several nodes at once: nobody sees a state between.
    ///
    /// # Panics
    /// If a path is malformed.
    pub fn together(&self, edits: &[(&str, Option<&[u8]>)]) {
        let edits = edits.iter().map(|(path, value)| {
            let path = absolute(DOM0, path).expect("a well-formed path");
            match value {
                Some(value) => Edit::Write(path, value.to_vec()),
                None => Edit::Remove(path),
            }
        });
        self.edit(edits.collect());
    }

    /// Sets a node's permissions, its owner's first.
    pub fn set_permissions(&self, path: &str, permissions: &[Permission]) {
        self.edit(vec![Edit::SetPermissions(path.into(), permissions.into())]);
    }

    fn edit(&self, edits: Vec<Edit>) {
        let mut state = self.state.borrow_mut();
        let mut changes = Vec::new();
        for edit in edits {
            // Domain 0 may do all; what is not there need not be removed.
            if let Ok(change) = edit.apply(Rc::make_mut(&mut state.tree), DOM0) {
                changes.extend(change);
            }
        }
        state.tell(&self.xen, &changes);
        drop(state);
        self.xen.wake(self.actor);
    }

    /// Watches a path for an actor of domain 0, which is woken by each event; the first comes at
    /// once.
    #[must_use]
    pub fn watch(&self, path: &str, actor: ActorId) -> Watching {
        let events = Rc::new(RefCell::new(VecDeque::from([path.to_string()])));
        let watcher = Watcher::Daemon {
            events: Rc::downgrade(&events),
            actor,
        };
        let path = path.to_string();
        let mut state = self.state.borrow_mut();
        state.watches.push(Watch { path, watcher });
        self.xen.wake(actor);
        Watching(events)
    }

    /// What a guest holds.
    #[must_use]
    pub fn usage(&self, dom: DomId) -> StoreUsage {
        let state = self.state.borrow();
        let connection = state.connections.iter().find(|c| c.dom == dom);
        StoreUsage {
            watches: state.watches.iter().filter(|w| w.is_of(dom)).count(),
            transactions: connection.map_or(0, |c| c.transactions.len()),
            nodes: state.tree.owned_by(dom),
        }
    }

    /// Requests of guests answered so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Refuses the next `count` commits of guests with `EAGAIN`, as if somebody had been faster.
    pub fn refuse_commits(&self, count: u32) {
        self.state.borrow_mut().conflicts = count;
    }

    /// Stops (or goes on) answering.
    pub fn set_silent(&self, silent: bool) {
        self.silent.set(silent);
        self.xen.wake(self.actor);
    }

    /// Makes each turn of the daemon wait up to `latency`, by chance.
    pub fn set_latency(&self, latency: Duration) {
        self.latency.set(latency);
    }

    /// Sends `dom` what is no message, which is longer than any may be: it has lost its store then
    /// (case F24).
    pub fn break_off(&self, dom: DomId) {
        self.send_raw(dom, &[2u32, 77, 0, 4097].map(u32::to_le_bytes).concat());
    }

    /// Sends a guest bytes that need be no message: for tests of its client.
    pub fn send_raw(&self, dom: DomId, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        if let Some(connection) = state.connections.iter_mut().find(|c| c.dom == dom) {
            connection.send_raw(bytes);
        }
        drop(state);
        self.xen.wake(self.actor);
    }

    /// Whether the daemon gave up a guest's connection because the guest broke the protocol.
    #[must_use]
    pub fn gave_up(&self, dom: DomId) -> bool {
        let state = self.state.borrow();
        state.connections.iter().any(|c| c.dom == dom && c.broken)
    }
}

impl State {
    /// Queues the events of `changes` at everyone who watches.
    fn tell(&mut self, xen: &Xen, changes: &[Change]) {
        self.watches.retain(|watch| !watch.is_stale());
        let mut events = std::mem::take(&mut self.first_events);
        for change in changes {
            for watch in &self.watches {
                events.extend(watch.hears(change).map(|path| (watch.clone(), path)));
            }
        }
        for (watch, path) in events {
            match &watch.watcher {
                Watcher::Daemon { events, actor } => {
                    if let Some(events) = events.upgrade() {
                        events.borrow_mut().push_back(path);
                    }
                    xen.wake(*actor);
                }
                Watcher::Guest { .. } => {
                    let Some((dom, event)) = watch.event(&path) else {
                        continue;
                    };
                    let mut connections = self.connections.iter_mut();
                    if let Some(connection) = connections.find(|c| c.dom == dom) {
                        connection.send(&event);
                    }
                }
            }
        }
    }
}

struct Daemon {
    state: Rc<RefCell<State>>,
    silent: Rc<Cell<bool>>,
    latency: Rc<Cell<Duration>>,
    requests: Rc<Cell<u64>>,
}

impl Actor for Daemon {
    /// Answers at most one request of each guest.
    fn turn(&mut self, xen: &Xen) -> Next {
        if self.silent.get() {
            return Next::Wait;
        }
        let mut state = self.state.borrow_mut();
        let mut busy = false;
        for index in 0..state.connections.len() {
            let connection = &mut state.connections[index];
            let dom = connection.dom;
            xen.take_event(DOM0, connection.port());
            if let Some(request) = connection.next_request(xen) {
                busy = true;
                self.requests.set(self.requests.get() + 1);
                let (reply, changes) = state.answer(dom, &request);
                state.connections[index].send(&reply);
                state.tell(xen, &changes);
            }
        }
        for connection in &mut state.connections {
            connection.flush(xen);
        }
        if !busy {
            return Next::Wait;
        }
        let latency = u64::try_from(self.latency.get().as_nanos()).unwrap_or(u64::MAX);
        if latency == 0 {
            return Next::Again;
        }
        Next::At(
            xen.now()
                .after(Duration::from_nanos(xen.rng().below(latency))),
        )
    }
}
