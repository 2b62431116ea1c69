//! A block frontend that a test drives by hand: it does nothing by itself, and anything it is told
//! to, honest or not.
//!
//! - [`ask`]: requests and answers
//! - [`ring`]: the ring and its port

pub mod ask;
pub mod ring;

use std::cell::RefCell;
use std::rc::Rc;

use hv::{Access, Hypervisor};
use pv::{Granted, Pv};

use crate::blkback::request::{SEGMENT, Segment};
use crate::{Dom, Frame, Toolstack, Vbd, Xenstored};

pub use ask::{Abi, Answer, Ask};
pub use ring::PeerRing;

/// The frontend of one vbd.
pub struct Frontend {
    store: Xenstored,
    vbd: Vbd,
    pv: Pv<Dom>,
    abi: Abi,
    rings: RefCell<Vec<Rc<PeerRing>>>,
}

impl Frontend {
    /// The frontend of `vbd`, in the domain that `pv` speaks for. It has no ring yet.
    #[must_use]
    pub fn new(toolstack: &Toolstack, pv: &Pv<Dom>, vbd: Vbd, abi: Abi) -> Self {
        Self {
            store: toolstack.store().clone(),
            vbd,
            pv: pv.clone(),
            abi,
            rings: RefCell::default(),
        }
    }

    /// Its device.
    #[must_use]
    pub fn vbd(&self) -> &Vbd {
        &self.vbd
    }

    /// Its domain.
    #[must_use]
    pub fn pv(&self) -> &Pv<Dom> {
        &self.pv
    }

    /// Writes a key of its directory, if that is there.
    pub fn write(&self, key: &str, value: impl AsRef<[u8]>) {
        let home = self.vbd.frontend_path();
        if self.store.exists(&home) {
            self.store.write(&format!("{home}/{key}"), value);
        }
    }

    /// Removes a key of its directory, or all of it if the key is empty.
    pub fn remove(&self, key: &str) {
        let path = format!("{}/{key}", self.vbd.frontend_path());
        self.store.remove(path.trim_end_matches('/'));
    }

    /// Goes to a state (XenbusState).
    pub fn set_state(&self, state: u32) {
        self.write("state", state.to_string());
    }

    /// A key of the backend's.
    #[must_use]
    pub fn backend(&self, key: &str) -> Option<String> {
        let path = format!("{}/{key}", self.vbd.backend_path());
        self.store.read(&path)
    }

    /// The backend's state.
    #[must_use]
    pub fn backend_state(&self) -> Option<u32> {
        self.backend("state")?.parse().ok()
    }

    /// Makes rings, and forgets those there were.
    ///
    /// Pages that the backend had mapped when their grant ended, and has no more, are used again:
    /// nothing runs in the domain that would [take them back](pv::Grants::reclaim) by itself.
    pub fn make_rings(&self, count: usize, order: u32) {
        self.pv.grants.sweep();
        let ring = |_| {
            let ring = PeerRing::new(&self.pv, self.vbd.backend, order, self.abi);
            Rc::new(ring)
        };
        self.rings.replace((0..count).map(ring).collect());
    }

    /// Forgets its rings and closes their ports, also if somebody still has one.
    pub fn drop_rings(&self) {
        for ring in self.rings.take() {
            ring.close_port();
        }
    }

    /// The first ring.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn ring(&self) -> Rc<PeerRing> {
        self.rings()[0].clone()
    }

    /// The rings.
    #[must_use]
    pub fn rings(&self) -> Vec<Rc<PeerRing>> {
        self.rings.borrow().clone()
    }

    /// The keys that an honest frontend publishes with its rings, its state apart.
    #[must_use]
    pub fn keys(&self) -> Vec<(String, String)> {
        let rings = self.rings.borrow();
        let mut keys = vec![("protocol".to_string(), self.abi.name().to_string())];
        if rings.len() > 1 {
            keys.push(("multi-queue-num-queues".into(), rings.len().to_string()));
        }
        for (index, ring) in rings.iter().enumerate() {
            let folder = match rings.len() {
                1 => String::new(),
                _ => format!("queue-{index}/"),
            };
            let mut add = |key: &str, value: u32| {
                keys.push((format!("{folder}{key}"), value.to_string()));
            };
            match ring.references().as_slice() {
                [reference] => add("ring-ref", reference.0),
                references => {
                    for (page, reference) in references.iter().enumerate() {
                        add(&format!("ring-ref{page}"), reference.0);
                    }
                    let order = references.len().ilog2().to_string();
                    add("event-channel", ring.port().0);
                    if index == 0 {
                        keys.push(("ring-page-order".into(), order));
                    }
                    continue;
                }
            }
            add("event-channel", ring.port().0);
        }
        keys
    }

    /// Publishes its rings, with `other` keys on top (`None` leaves one out), and goes to
    /// Initialised, all at once.
    pub fn publish(&self, other: &[(&str, Option<&str>)]) {
        let home = self.vbd.frontend_path();
        let mut keys = self.keys();
        keys.retain(|(key, _)| other.iter().all(|(other, _)| other != key));
        let given = other
            .iter()
            .filter_map(|(key, value)| Some((*key, (*value)?)));
        keys.extend(given.map(|(key, value)| (key.to_string(), value.to_string())));
        keys.push(("state".into(), "3".into()));
        let paths: Vec<_> = keys
            .iter()
            .map(|(key, value)| (format!("{home}/{key}"), value.as_bytes()))
            .collect();
        let edits: Vec<_> = paths
            .iter()
            .map(|(path, value)| (path.as_str(), Some(*value)))
            .collect();
        self.store.together(&edits);
    }

    /// A page that the backend may use, filled with `byte`.
    ///
    /// # Panics
    /// If the domain has none left.
    #[must_use]
    pub fn page(&self, access: Access, byte: u8) -> Granted<Dom> {
        let page = self.pv.hv.alloc_page().expect("a peer has pages enough");
        hv::SharedMem::fill(&page, 0, hv::PAGE_SIZE, byte);
        let granted = self.pv.grants.grant(page, self.vbd.backend, access);
        granted.expect("a peer has grants enough")
    }

    /// The machine frame of a page: for a [snoop](crate::Frame::set_snoop).
    ///
    /// # Panics
    /// Never: the page is the domain's.
    #[must_use]
    pub fn frame(&self, page: &Granted<Dom>) -> Rc<Frame> {
        let dom = &self.pv.hv;
        let frame = dom.xen().find_frame(hv::Page::mfn(page), dom.id());
        frame.expect("the page is the domain's")
    }

    /// A page that lists segments.
    ///
    /// # Panics
    /// If the domain has none left.
    #[must_use]
    pub fn list(&self, segments: &[Segment]) -> Granted<Dom> {
        let page = self.page(Access::ReadOnly, 0);
        for (index, segment) in segments.iter().enumerate() {
            hv::SharedMem::write(&page, index * SEGMENT, &ask::describe(segment));
        }
        page
    }
}

/// What a page holds.
#[must_use]
pub fn bytes(page: &Granted<Dom>) -> Vec<u8> {
    let mut bytes = vec![0; hv::PAGE_SIZE];
    hv::SharedMem::read(page, 0, &mut bytes);
    bytes
}

/// All of a page.
#[must_use]
pub fn whole(page: &Granted<Dom>) -> Segment {
    Segment {
        page: page.reference(),
        first: 0,
        last: 7,
    }
}
