//! The network backend: connects one vif as Linux's netback does, honestly or not.
//!
//! - [`slot`]: entries of both rings
//! - [`packet`]: packets, and what is known of them
//! - [`checksum`]: those of IP, TCP, UDP and ICMP
//! - [`segment`]: cuts large packets
//! - [`config`]: what a backend offers, and what it has done
//! - `handshake`: what it says and does at each of xenbus' states
//! - `connection`: the rings, and the packets under way
//! - `serve`: works on the rings
//! - [`transmit`]: takes packets from the guest
//! - `receive`: gives packets to it
//! - [`malice`]: what a hostile backend does differently

pub mod checksum;
pub mod config;
mod connection;
mod handshake;
pub mod malice;
pub mod packet;
mod receive;
pub mod segment;
mod serve;
pub mod slot;
pub mod transmit;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use hv::{Instant, Port, SharedMem};

use crate::backend::bus::{Bus, CLOSING};
use crate::backend::{BackSide, sooner};
use crate::toolstack::{Toolstack, Vif, VifConfig};
use crate::{Actor, ActorId, Memory, Next, Xen, Xenstored};
use connection::Connection;

pub use config::{NetbackConfig, Served};
pub use malice::{Malice, RxTamper, TxTamper};
pub use packet::{Checksum, Gso, Packet};

/// A running backend; clones are the same one.
#[derive(Clone)]
pub struct Netback {
    xen: Xen,
    actor: ActorId,
    vif: Vif,
    backend: Rc<RefCell<Backend>>,
}

pub(crate) struct Backend {
    bus: Bus,
    vif: Vif,
    mtu: u16,
    config: NetbackConfig,
    connection: Option<Connection>,
    connections: u64,
    /// Who is told that packets came from the guest.
    listener: Option<ActorId>,
    /// Packets from the guest.
    sent: VecDeque<Packet>,
    /// Packets for the guest.
    arrived: VecDeque<Packet>,
    /// Why the vif is shut off: the frontend did what no honest one does.
    disabled: Option<String>,
    complaints: Vec<String>,
    served: Served,
    next_storm: Instant,
    /// Pages that a hostile backend does not let go of.
    kept: Vec<Rc<Memory>>,
    /// Bytes that a hostile backend found beside those of the packets that were sent, and in pages
    /// posted to receive into.
    spied: Vec<u8>,
    spied_posted: Vec<u8>,
}

impl Netback {
    /// Creates the vif's directories and starts a backend for it.
    #[must_use]
    pub fn attach(
        xen: &Xen,
        toolstack: &Toolstack,
        vif: Vif,
        keys: &VifConfig,
        config: NetbackConfig,
    ) -> Self {
        toolstack.create_vif(&vif, keys);
        Self::start(xen, toolstack.store(), vif, config)
    }

    /// Starts a backend for a vif whose directories are there.
    #[must_use]
    pub fn start(xen: &Xen, store: &Xenstored, vif: Vif, config: NetbackConfig) -> Self {
        let mtu = store.read(&format!("{}/mtu", vif.backend_path()));
        let backend = Rc::new(RefCell::new(Backend {
            bus: Bus::new(xen, store, vif.frontend_path(), vif.backend_path()),
            vif,
            mtu: mtu.and_then(|mtu| mtu.parse().ok()).unwrap_or(1500),
            config,
            connection: None,
            connections: 0,
            listener: None,
            sent: VecDeque::new(),
            arrived: VecDeque::new(),
            disabled: None,
            complaints: Vec::new(),
            served: Served::default(),
            next_storm: xen.now(),
            kept: Vec::new(),
            spied: Vec::new(),
            spied_posted: Vec::new(),
        }));
        let actor = xen.spawn(format!("netback {}", vif.devid), backend.clone());
        backend.borrow_mut().bus.watch(actor);
        Self {
            xen: xen.clone(),
            actor,
            vif,
            backend,
        }
    }

    /// The device it serves.
    #[must_use]
    pub fn vif(&self) -> Vif {
        self.vif
    }

    /// What it has done so far.
    #[must_use]
    pub fn served(&self) -> Served {
        self.backend.borrow().served
    }

    /// The state it last wrote (XenbusState).
    #[must_use]
    pub fn state(&self) -> u32 {
        self.backend.borrow().bus.state
    }

    /// Whether it has rings mapped.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.backend.borrow().connection.is_some()
    }

    /// How often it has mapped rings.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.backend.borrow().connections
    }

    /// Why the vif is shut off, if it is.
    #[must_use]
    pub fn disabled(&self) -> Option<String> {
        self.backend.borrow().disabled.clone()
    }

    /// What the frontend did wrong.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.backend.borrow().complaints.clone()
    }

    /// Packets of the guest taken and not answered.
    #[must_use]
    pub fn pending(&self) -> usize {
        let backend = self.backend.borrow();
        let queues = backend.connection.iter().flat_map(|c| &c.queues);
        queues.map(|queue| queue.jobs.len()).sum()
    }

    /// Entries that the guest has posted to receive into.
    #[must_use]
    pub fn posted(&self) -> u32 {
        let backend = self.backend.borrow();
        let queues = backend.connection.iter().flat_map(|c| &c.queues);
        queues.map(connection::Queue::posted).sum()
    }

    /// Transmit answers of this connection.
    #[must_use]
    pub fn answered(&self) -> u64 {
        let backend = self.backend.borrow();
        backend.connection.as_ref().map_or(0, |c| c.answered)
    }

    /// The multicast addresses that the guest asked for.
    #[must_use]
    pub fn multicast(&self) -> Vec<[u8; 6]> {
        let backend = self.backend.borrow();
        let lists = backend.connection.iter().map(|c| c.multicast.clone());
        lists.flatten().collect()
    }

    /// Sends a packet to the guest.
    pub fn deliver(&self, packet: Packet) {
        let mut backend = self.backend.borrow_mut();
        if packet.bytes.len() >= 14 && !backend.bus.finished {
            backend.arrived.push_back(packet);
            self.xen.wake(self.actor);
        }
    }

    /// The packets that came from the guest since this was asked last.
    #[must_use]
    pub fn take_sent(&self) -> Vec<Packet> {
        self.backend.borrow_mut().sent.drain(..).collect()
    }

    /// Has `listener` woken when a packet came from the guest.
    pub fn set_listener(&self, listener: Option<ActorId>) {
        self.backend.borrow_mut().listener = listener;
    }

    /// Stops doing anything at all, as a backend whose domain is paused; `false` goes on.
    pub fn set_frozen(&self, frozen: bool) {
        self.backend.borrow_mut().bus.frozen = frozen;
        self.xen.wake(self.actor);
    }

    /// Says whether the cable is in.
    pub fn set_carrier(&self, up: bool) {
        self.backend.borrow_mut().set_carrier(up);
    }

    /// Dies: its mappings and its ports go, nothing is written any more. What it wrote in xenstore
    /// stays as it is.
    pub fn crash(&self) {
        let mut backend = self.backend.borrow_mut();
        backend.drop_connection(&self.xen);
        backend.kept.clear();
        backend.bus.unwatch();
        backend.bus.finished = true;
        drop(backend);
        self.xen.dismiss(self.actor);
    }

    /// Changes what it does that an honest backend does not.
    pub fn set_malice(&self, malice: Malice) {
        self.backend.borrow_mut().config.malice = malice;
        self.xen.wake(self.actor);
    }

    /// Falsifies its next transmit answer, and no other.
    pub fn tamper_next_sent(&self, tamper: TxTamper) {
        self.set_malice(Malice {
            sent: vec![(self.answered() + 1, tamper)],
            ..Malice::default()
        });
    }

    /// Falsifies the next packet that the guest receives, and no other.
    pub fn tamper_next_received(&self, tamper: RxTamper) {
        let next = |connection: &Connection| connection.delivered + 1;
        let number = self.backend.borrow().connection.as_ref().map_or(1, next);
        self.set_malice(Malice {
            received: vec![(number, tamper)],
            ..Malice::default()
        });
    }

    /// Changes what it offers and how it behaves; keys that are published stay as they are.
    pub fn configure(&self, change: impl FnOnce(&mut NetbackConfig)) {
        change(&mut self.backend.borrow_mut().config);
        self.xen.wake(self.actor);
    }

    /// Bytes that are not zero and that it found in pages posted to receive into, if malice had it
    /// spy.
    #[must_use]
    pub fn spied_posted(&self) -> Vec<u8> {
        self.backend.borrow().spied_posted.clone()
    }

    /// Bytes that are not zero and that it found beside those of the packets that the guest sent,
    /// if malice had it spy.
    #[must_use]
    pub fn spied(&self) -> Vec<u8> {
        self.backend.borrow().spied.clone()
    }

    /// How many pages malice keeps.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.backend.borrow().kept.len()
    }

    /// Fills the pages that malice kept, where they may be written, with `byte`.
    pub fn scribble_kept(&self, byte: u8) {
        let backend = self.backend.borrow();
        for page in backend.kept.iter().filter(|page| page.is_writable()) {
            page.fill(0, page.len(), byte);
        }
    }

    /// Lets go of the pages that malice kept.
    pub fn release_kept(&self) {
        let kept = std::mem::take(&mut self.backend.borrow_mut().kept);
        drop(kept);
    }

    /// Writes a key of its directory, whatever is true.
    pub fn write_key(&self, key: &str, value: &str) {
        self.backend.borrow().bus.write_key(key, value);
    }

    /// Closes the device from this side: writes Closing and stays so until the frontend is Closed.
    pub fn close(&self) {
        self.backend.borrow_mut().switch(CLOSING);
        self.xen.wake(self.actor);
    }
}

impl Backend {
    /// The frontend did wrong.
    fn complain(&mut self, xen: &Xen, what: &str) {
        let vif = self.vif;
        self.complaints.push(what.into());
        if self.config.strict {
            xen.violation(format!("netback {}/{}: {what}", vif.guest, vif.devid));
        }
    }

    /// Shuts the vif off for good (`xenvif_fatal_tx_err`); the states stay as they are.
    fn disable(&mut self, xen: &Xen, why: &str) {
        if self.disabled.is_none() {
            self.disabled = Some(why.into());
            self.complain(xen, &format!("shut the vif off: {why}"));
        }
    }

    fn notify(&self, xen: &Xen, port: Port) {
        if !self.config.malice.mute {
            // The guest may have closed its end: then nobody is there to be told.
            let _ = xen.evtchn_send(self.vif.backend, port);
        }
    }
}

impl Actor for Backend {
    fn turn(&mut self, xen: &Xen) -> Next {
        self.work(xen)
    }
}
