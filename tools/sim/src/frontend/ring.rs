//! A frontend's ring, driven by hand.

use std::cell::Cell;

use hv::{Access, DomId, GrantRef, Hypervisor, Port, SharedMem};
use pv::{Granted, Pv};
use ring::Pages;

use super::ask::{Abi, Answer, Ask};
use crate::layout::ring as at;
use crate::{Dom, Frame, Xen};

/// A ring and its port. Dropping it closes the port and ends the grants.
pub struct PeerRing {
    xen: Xen,
    dom: DomId,
    memory: Pages<Granted<Dom>>,
    port: Port,
    abi: Abi,
    entries: u32,
    /// One past the last request put into the ring.
    produced: Cell<u32>,
    /// One past the last answer taken.
    consumed: Cell<u32>,
    closed: Cell<bool>,
}

impl PeerRing {
    /// A ring of `2^order` pages that `peer` may map, and a port that it may bind to.
    ///
    /// # Panics
    /// If the domain has not so many pages, grants or ports.
    #[must_use]
    pub fn new(pv: &Pv<Dom>, peer: DomId, order: u32, abi: Abi) -> Self {
        let page = |_| {
            let page = pv.hv.alloc_page().expect("a peer has pages enough");
            let granted = pv.grants.grant(page, peer, Access::ReadWrite);
            granted.expect("a peer has grants enough")
        };
        let memory = Pages::new((0..1u32 << order).map(page).collect());
        let room = (memory.len() - at::HEADER) / abi.entry();
        // The largest power of two that fits.
        let entries = 1 << room.ilog2();
        memory.store_u32(at::REQ_EVENT, 1);
        memory.store_u32(at::RSP_EVENT, 1);
        let (xen, dom) = (pv.hv.xen().clone(), pv.hv.id());
        let port = xen.evtchn_alloc_unbound(dom, peer);
        Self {
            xen,
            dom,
            memory,
            port: port.expect("a peer has ports enough"),
            abi,
            entries,
            produced: Cell::new(0),
            consumed: Cell::new(0),
            closed: Cell::new(false),
        }
    }

    /// What the ring lies in.
    #[must_use]
    pub fn memory(&self) -> &Pages<Granted<Dom>> {
        &self.memory
    }

    /// The machine frame of the first page: where its indices are.
    ///
    /// # Panics
    /// Never: the page is the domain's.
    #[must_use]
    pub fn frame(&self) -> std::rc::Rc<Frame> {
        let mfn = hv::Page::mfn(&self.memory.pages()[0]);
        let frame = self.xen.find_frame(mfn, self.dom);
        frame.expect("the page is the domain's")
    }

    /// The references of its pages.
    #[must_use]
    pub fn references(&self) -> Vec<GrantRef> {
        let pages = self.memory.pages().iter();
        pages.map(Granted::reference).collect()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> Port {
        self.port
    }

    /// How many entries it has.
    #[must_use]
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Requests put into the ring whose answers were not taken.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.produced.get().wrapping_sub(self.consumed.get())
    }

    /// Sets all indices, as another domain may have left them.
    pub fn set_indices(&self, index: u32) {
        self.memory.store_u32(at::REQ_PROD, index);
        self.memory.store_u32(at::RSP_PROD, index);
        self.memory.store_u32(at::REQ_EVENT, index.wrapping_add(1));
        self.memory.store_u32(at::RSP_EVENT, index.wrapping_add(1));
        self.produced.set(index);
        self.consumed.set(index);
    }

    /// Puts a request into the next slot. The backend does not see it yet.
    pub fn put(&self, ask: &Ask) {
        let index = self.produced.get();
        self.memory.write(self.slot(index), &ask.encode(self.abi));
        self.produced.set(index.wrapping_add(1));
    }

    /// Where the entry of `index` lies.
    #[must_use]
    pub fn slot(&self, index: u32) -> usize {
        at::HEADER + (index % self.entries) as usize * self.abi.entry()
    }

    /// Shows the backend what was put, without an event.
    pub fn publish(&self) {
        self.memory.store_u32(at::REQ_PROD, self.produced.get());
    }

    /// Claims that requests up to `index` are there.
    pub fn claim(&self, index: u32) {
        self.memory.store_u32(at::REQ_PROD, index);
    }

    /// One past the last request put.
    #[must_use]
    pub fn produced(&self) -> u32 {
        self.produced.get()
    }

    /// Raises an event.
    pub fn notify(&self) {
        // A backend that has gone hears nothing.
        let _gone = self.xen.evtchn_send(self.dom, self.port);
    }

    /// Puts a request, shows it and tells the backend.
    pub fn submit(&self, ask: &Ask) {
        self.put(ask);
        self.publish();
        self.notify();
    }

    /// Answers there are that were not taken.
    #[must_use]
    pub fn answered(&self) -> u32 {
        let produced = self.memory.load_u32(at::RSP_PROD);
        produced.wrapping_sub(self.consumed.get())
    }

    /// The next answer.
    #[must_use]
    pub fn take(&self) -> Option<Answer> {
        if self.answered() == 0 {
            return None;
        }
        let index = self.consumed.get();
        self.consumed.set(index.wrapping_add(1));
        self.memory.store_u32(at::RSP_EVENT, index.wrapping_add(2));
        let mut bytes = [0; 16];
        self.memory.read(self.slot(index), &mut bytes);
        Some(Answer::decode(bytes))
    }

    /// All answers there are.
    #[must_use]
    pub fn take_all(&self) -> Vec<Answer> {
        std::iter::from_fn(|| self.take()).collect()
    }

    /// Takes the event off the port; whether there was one.
    #[must_use]
    pub fn take_event(&self) -> bool {
        self.xen.take_event(self.dom, self.port)
    }

    /// Closes the port before its time, if it is open.
    pub fn close_port(&self) {
        if self.closed.replace(true) {
            return;
        }
        let _closed = self.xen.evtchn_close(self.dom, self.port);
    }
}

impl Drop for PeerRing {
    fn drop(&mut self) {
        self.close_port();
    }
}
