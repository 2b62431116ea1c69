//! A network frontend that a test drives by hand: it does nothing by itself, and anything it is
//! told to, honest or not.

use std::cell::{Cell, RefCell};

use hv::{Access, DomId, Hypervisor, PAGE_SIZE, Port, SharedMem};
use pv::{Granted, Pv};

use crate::layout::{netif, ring as at};
use crate::netback::slot::{Extra, RxRequest, RxResponse, TxRequest};
use crate::{Dom, Toolstack, Vif, Xenstored};

/// The frontend of one vif.
pub struct NetPeer {
    store: Xenstored,
    vif: Vif,
    pv: Pv<Dom>,
    /// Its transmit ring.
    pub tx: HandRing,
    /// Its receive ring.
    pub rx: HandRing,
    pages: RefCell<Vec<Granted<Dom>>>,
}

/// A ring of one page and its port, driven by hand.
pub struct HandRing {
    memory: Granted<Dom>,
    port: Port,
    dom: Dom,
    entry: usize,
    entries: u32,
    produced: Cell<u32>,
    consumed: Cell<u32>,
}

impl HandRing {
    fn new(pv: &Pv<Dom>, peer: DomId, entry: usize) -> Self {
        let page = pv.hv.alloc_page().expect("a peer has pages enough");
        let memory = pv.grants.grant(page, peer, Access::ReadWrite);
        let memory = memory.expect("a peer has grants enough");
        memory.store_u32(at::REQ_EVENT, 1);
        memory.store_u32(at::RSP_EVENT, 1);
        let port = pv.hv.evtchn_alloc_unbound(peer);
        Self {
            memory,
            port: port.expect("a peer has ports enough"),
            dom: pv.hv.clone(),
            entry,
            entries: 1 << ((PAGE_SIZE - at::HEADER) / entry).ilog2(),
            produced: Cell::new(0),
            consumed: Cell::new(0),
        }
    }

    fn slot(&self, index: u32) -> usize {
        at::HEADER + (index % self.entries) as usize * self.entry
    }

    /// How many entries it has.
    #[must_use]
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Puts an entry into the next slot. The backend does not see it yet.
    pub fn put(&self, entry: &[u8]) {
        let index = self.produced.get();
        self.memory.write(self.slot(index), entry);
        self.produced.set(index.wrapping_add(1));
    }

    /// Shows the backend what was put, and tells it.
    pub fn publish(&self) {
        self.claim(self.produced.get());
    }

    /// Claims that requests up to `index` are there.
    pub fn claim(&self, index: u32) {
        self.memory.store_u32(at::REQ_PROD, index);
        // A backend that has gone hears nothing.
        let _gone = self.dom.evtchn_send(self.port);
    }

    /// One past the last entry put.
    #[must_use]
    pub fn produced(&self) -> u32 {
        self.produced.get()
    }

    /// Answers that were not taken.
    #[must_use]
    pub fn answered(&self) -> u32 {
        let produced = self.memory.load_u32(at::RSP_PROD);
        produced.wrapping_sub(self.consumed.get())
    }

    /// The first 8 bytes of the next answer, and its slot's number.
    #[must_use]
    pub fn take(&self) -> Option<(u32, [u8; 8])> {
        if self.answered() == 0 {
            return None;
        }
        let index = self.consumed.get();
        self.consumed.set(index.wrapping_add(1));
        self.memory.store_u32(at::RSP_EVENT, index.wrapping_add(2));
        let mut bytes = [0; 8];
        self.memory.read(self.slot(index), &mut bytes);
        Some((index, bytes))
    }
}

impl Drop for HandRing {
    fn drop(&mut self) {
        let _closed = self.dom.evtchn_close(self.port);
    }
}

impl NetPeer {
    /// The frontend of `vif`, in the domain that `pv` speaks for.
    #[must_use]
    pub fn new(toolstack: &Toolstack, pv: &Pv<Dom>, vif: Vif) -> Self {
        Self {
            store: toolstack.store().clone(),
            vif,
            pv: pv.clone(),
            tx: HandRing::new(pv, vif.backend, netif::TX_ENTRY),
            rx: HandRing::new(pv, vif.backend, netif::RX_ENTRY),
            pages: RefCell::default(),
        }
    }

    /// Publishes its rings, with `other` keys on top (`None` leaves one out), and goes to
    /// Connected, all at once.
    pub fn publish(&self, other: &[(&str, Option<&str>)]) {
        let home = self.vif.frontend_path();
        let honest = [
            ("tx-ring-ref", self.tx.memory.reference().0),
            ("rx-ring-ref", self.rx.memory.reference().0),
            ("event-channel-tx", self.tx.port.0),
            ("event-channel-rx", self.rx.port.0),
            ("request-rx-copy", 1),
            ("feature-rx-notify", 1),
            ("feature-sg", 1),
        ];
        let honest = honest.map(|(key, value)| (key, value.to_string()));
        let mut keys: Vec<(&str, String)> = honest.into();
        keys.retain(|(key, _)| other.iter().all(|(other, _)| other != key));
        let given = other
            .iter()
            .filter_map(|(key, value)| Some((*key, (*value)?)));
        keys.extend(given.map(|(key, value)| (key, value.to_string())));
        keys.push(("state", "4".into()));
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

    /// Goes to a state (XenbusState).
    pub fn set_state(&self, state: u32) {
        let path = format!("{}/state", self.vif.frontend_path());
        self.store.write(&path, state.to_string());
    }

    /// A key of the backend's.
    #[must_use]
    pub fn backend(&self, key: &str) -> Option<String> {
        self.store
            .read(&format!("{}/{key}", self.vif.backend_path()))
    }

    /// A page with these bytes at its start; its number among the peer's pages, which is also the
    /// id it is sent under.
    ///
    /// # Panics
    /// If the domain has none left.
    pub fn page(&self, bytes: &[u8], access: Access) -> u16 {
        let page = self.pv.hv.alloc_page().expect("a peer has pages enough");
        page.write(0, bytes);
        let granted = self.pv.grants.grant(page, self.vif.backend, access);
        let mut pages = self.pages.borrow_mut();
        pages.push(granted.expect("a peer has grants enough"));
        u16::try_from(pages.len() - 1).expect("a peer has few pages")
    }

    /// What a page holds.
    #[must_use]
    pub fn bytes(&self, page: u16, offset: u16, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.pages.borrow()[usize::from(page)].read(offset.into(), &mut bytes);
        bytes
    }

    /// An entry that sends `size` bytes from the start of a page.
    #[must_use]
    pub fn request(&self, page: u16, size: u16, flags: u16) -> TxRequest {
        TxRequest {
            page: self.pages.borrow()[usize::from(page)].reference(),
            offset: 0,
            flags,
            id: page,
            size,
        }
    }

    /// Sends a frame in one piece.
    pub fn send(&self, frame: &[u8], flags: u16) {
        let page = self.page(frame, Access::ReadOnly);
        let size = u16::try_from(frame.len()).expect("a frame is short");
        self.tx.put(&self.request(page, size, flags).encode());
        self.tx.publish();
    }

    /// Sends a frame in pieces, with extras after the first of them.
    pub fn send_pieces(&self, pieces: &[&[u8]], flags: u16, extras: &[Extra]) {
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        for (index, piece) in pieces.iter().enumerate() {
            let page = self.page(piece, Access::ReadOnly);
            let size = if index == 0 { total } else { piece.len() };
            let size = u16::try_from(size).expect("a frame is short");
            let mut request = self.request(page, size, if index == 0 { flags } else { 0 });
            if index + 1 != pieces.len() {
                request.flags |= netif::TX_MORE_DATA;
            }
            if index == 0 && !extras.is_empty() {
                request.flags |= netif::TX_EXTRA_INFO;
            }
            self.tx.put(&request.encode());
            if index == 0 {
                for extra in extras {
                    self.tx.put(&extra.encode());
                }
            }
        }
        self.tx.publish();
    }

    /// The transmit answers that came: id and status.
    #[must_use]
    pub fn answers(&self) -> Vec<(u16, i16)> {
        let answers = std::iter::from_fn(|| self.tx.take());
        let decode = |(_, bytes): (u32, [u8; 8])| {
            let id = u16::from_le_bytes([bytes[0], bytes[1]]);
            (id, i16::from_le_bytes([bytes[2], bytes[3]]))
        };
        answers.map(decode).collect()
    }

    /// Posts pages to receive into.
    pub fn post(&self, count: usize) {
        for _ in 0..count {
            let id = self.page(&[], Access::ReadWrite);
            let page = self.pages.borrow()[usize::from(id)].reference();
            self.rx.put(&RxRequest { id, page }.encode());
        }
        self.rx.publish();
    }

    /// The entries of the receive ring that were answered.
    #[must_use]
    pub fn received(&self) -> Vec<[u8; 8]> {
        std::iter::from_fn(|| self.rx.take())
            .map(|(_, bytes)| bytes)
            .collect()
    }

    /// The bytes of a piece that was received.
    #[must_use]
    pub fn piece(&self, response: &RxResponse) -> Vec<u8> {
        let length = usize::try_from(response.status).unwrap_or(0);
        self.bytes(response.id, response.offset, length)
    }
}
