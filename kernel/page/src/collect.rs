//! How a snapshot is made.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;
use core::time::Duration;

use exec::{Executor, Line, Log};
use geom::Geom;
use hv::{DomId, Hypervisor, Instant};
use net::Net;
use shell::command::Parts;
use xenbus::Store;

use crate::admission::Admission;
use crate::devices::{self, Devices};
use crate::domain::Domain;
use crate::history::History;
use crate::snapshot::{Inside, Snapshot};
use crate::turn::Once;

/// Lines of the log on the page.
const TAIL: usize = 40;
/// How old what the store says may be, so that many clients do not ask it more than one.
const FRESH: Duration = Duration::from_millis(1500);
/// How long the store has to say who this is.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that the heap must have for an answer that is there already or comes in pieces.
const SMALL: usize = 64 << 10;
/// Bytes that it must have for another, and more for each export and socket: a string that grows is
/// there twice for a moment.
const ANSWER: usize = 1 << 20;
const EXPORT: usize = 16 << 10;
const SOCKET: usize = 128;
/// And for each node of GEOM's graph: in a snapshot, and where all are shown.
const NODE: usize = 1 << 10;
const SHOWN_NODE: usize = 2 << 10;

/// All that answers are made from.
pub(crate) struct Page {
    pub(crate) exec: Executor,
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) geom: Geom,
    pub(crate) net: Net,
    pub(crate) inside: Rc<dyn Inside>,
    pub(crate) port: u16,
    pub(crate) token: Option<String>,
    pub(crate) clients: Admission,
    pub(crate) running: Once,
    pub(crate) capturing: Once,
    pub(crate) history: RefCell<History>,
    pub(crate) identity: RefCell<Option<(String, DomId)>>,
    pub(crate) devices: RefCell<Option<(Instant, Devices)>>,
}

impl Page {
    /// A page of the domain that `parts` are of. Nobody has looked yet.
    pub(crate) fn new<H: Hypervisor>(
        parts: Parts<H>,
        net: Net,
        port: u16,
        token: Option<String>,
    ) -> Self {
        Self {
            exec: parts.pv.exec.clone(),
            log: parts.pv.log.clone(),
            store: parts.store.clone(),
            geom: parts.geom.clone(),
            net,
            inside: Rc::new(Domain(parts)),
            port,
            token,
            clients: Admission::default(),
            running: Once::default(),
            capturing: Once::default(),
            history: RefCell::default(),
            identity: RefCell::default(),
            devices: RefCell::default(),
        }
    }

    /// Whether there is memory for the answer at `path`. Clients that do not take theirs hold some
    /// of it, and the domain has other uses.
    pub(crate) fn has_room(&self, path: &str) -> bool {
        let node = match path {
            "/page.css" | "/page.js" | "/icon.svg" | "/log" | "/capture.pcap" => {
                return self.inside.heap_room() >= SMALL;
            }
            "/geom.json" | "/geom.dot" | "/status.json" => SHOWN_NODE,
            _ => NODE,
        };
        let counters = self.geom.counters();
        let nodes = counters.geoms + counters.providers + counters.consumers;
        let parts = [
            nodes.saturating_mul(node),
            self.inside.exports().saturating_mul(EXPORT),
            self.net.connections().count.saturating_mul(SOCKET),
        ];
        let needed = parts.into_iter().fold(ANSWER, usize::saturating_add);
        self.inside.heap_room() >= needed
    }

    /// The domain now.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        let devices = self.devices().await;
        let identity = self.identity().await;
        let (facts, interfaces) = (self.inside.facts(), self.net.interfaces());
        let mut history = self.history.borrow_mut();
        history.look(facts.now, &facts.exports, &interfaces);
        Snapshot {
            domain: identity.as_ref().map(|(_, domain)| *domain),
            name: identity.map(|(name, _)| name).unwrap_or_default(),
            facts,
            tasks: self.exec.tasks(),
            polls: self.exec.polls(),
            geoms: self.geom.geoms(),
            providers: self.geom.providers(),
            disks: self.geom.disks(),
            counters: self.geom.counters(),
            interfaces,
            connections: self.net.connections(),
            sockets: self.net.sockets(),
            devices,
            rates: history.rates().clone(),
            log: self.tail().into(),
            takes_commands: self.token.is_some(),
        }
    }

    async fn devices(&self) -> Devices {
        let known = self.devices.borrow().clone();
        match known {
            Some((at, devices)) if self.exec.now().since(at) < FRESH => devices,
            _ => {
                let devices = devices::look(&self.store).await;
                *self.devices.borrow_mut() = Some((self.exec.now(), devices.clone()));
                devices
            }
        }
    }

    /// The domain's name and number; asked for until they are known.
    async fn identity(&self) -> Option<(String, DomId)> {
        let known = self.identity.borrow().clone();
        if known.is_some() {
            return known;
        }
        let asking = async {
            let name = self.store.read("name").await.ok()?;
            Some((name, self.store.own_domain().await.ok()?))
        };
        let told = self.exec.timeout(PATIENCE, asking).await.ok().flatten();
        *self.identity.borrow_mut() = told.clone();
        told
    }

    fn tail(&self) -> VecDeque<Rc<Line>> {
        let mut tail = VecDeque::with_capacity(TAIL);
        for line in self.log.lines_from(0) {
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line);
        }
        tail
    }
}
