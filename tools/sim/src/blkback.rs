//! The block backend: serves a [`Disk`] to one vbd as Linux's blkback does, honestly or not.
//!
//! - [`disk`]: the bytes
//! - [`request`]: requests and responses
//! - `handshake`: what it says and does at each of xenbus' states
//! - `connection`: the ring, and the requests taken from it
//! - `serve`: what it does with them
//! - [`malice`]: what a hostile backend does differently

mod connection;
pub mod disk;
mod handshake;
pub mod malice;
pub mod request;
mod serve;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hv::{Instant, SharedMem};

use crate::backend::bus::{Bus, CLOSING};
use crate::backend::{BackSide, sooner};
use crate::toolstack::{Toolstack, Vbd};
use crate::{Actor, ActorId, Memory, Next, Xen, Xenstored};
use connection::Connection;

pub use disk::Disk;
pub use malice::{Malice, Tamper};

/// What a backend serves, and how.
#[derive(Clone, Debug)]
pub struct BlkbackConfig {
    /// The disk's size in units of 512 bytes.
    pub sectors: u64,
    /// Its sector size, in bytes.
    pub sector_size: u32,
    /// Its physical sector size, in bytes; not published when `None`.
    pub physical_sector_size: Option<u32>,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Offer and do flushes.
    pub flush: bool,
    /// Offer and do write barriers.
    pub barrier: bool,
    /// Offer and do discards.
    pub discard: bool,
    /// Offer and do secure ones.
    pub secure_discard: bool,
    /// What discards must start at a multiple of, in bytes: the sector size if `None`.
    pub discard_granularity: Option<u32>,
    /// Where the first such multiple is counted from, in bytes.
    pub discard_alignment: u32,
    /// The most segments of an indirect request; none are taken when `None`.
    pub indirect_segments: Option<u32>,
    /// The most pages of requests that stay mapped; persistent grants are not offered when `None`.
    pub persistent: Option<usize>,
    /// log2 of the most ring pages, published as `max-ring-page-order`.
    pub ring_order: Option<u32>,
    /// The most ring pages, published as `max-ring-pages`.
    pub ring_pages: Option<u32>,
    /// The most queues, published as `multi-queue-max-queues`.
    pub queues: Option<u32>,
    /// The longest a request takes; each takes a random time up to it.
    pub latency: Duration,
    /// What it does that an honest backend does not.
    pub malice: Malice,
}

impl BlkbackConfig {
    /// Where discards may start: at each multiple of the first, counted from the second.
    fn extents(&self) -> (u64, u64) {
        let granularity = self.discard_granularity.unwrap_or(self.sector_size);
        (granularity.into(), self.discard_alignment.into())
    }
}

impl Default for BlkbackConfig {
    /// 16 MiB with 512-byte sectors, and all that Linux's blkback offers except persistent grants:
    /// what is granted is seen best where nothing stays mapped.
    fn default() -> Self {
        Self {
            sectors: 32768,
            sector_size: 512,
            physical_sector_size: None,
            read_only: false,
            flush: true,
            barrier: true,
            discard: true,
            secure_discard: false,
            discard_granularity: None,
            discard_alignment: 0,
            indirect_segments: Some(256),
            persistent: None,
            ring_order: Some(4),
            ring_pages: None,
            queues: None,
            latency: Duration::from_micros(200),
            malice: Malice::default(),
        }
    }
}

/// What a backend has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Requests taken off the ring.
    pub requests: u64,
    /// Responses put on it, false ones included.
    pub responses: u64,
    /// Reads done.
    pub reads: u64,
    /// Writes done.
    pub writes: u64,
    /// Flushes done.
    pub flushes: u64,
    /// Write barriers done.
    pub barriers: u64,
    /// Discards done.
    pub discards: u64,
    /// Those of them that were secure.
    pub secure_discards: u64,
    /// Indirect requests taken.
    pub indirect: u64,
    /// Pages of requests that had to be mapped.
    pub mapped: u64,
    /// The most ring entries seen, so how large the rings are together.
    pub ring_entries: u32,
    /// Queues of the last connection.
    pub queues: u32,
    /// Requests answered with an error.
    pub errors: u64,
    /// The most requests pending at once.
    pub most_pending: usize,
}

/// A running backend; clones are the same one.
#[derive(Clone)]
pub struct Blkback {
    xen: Xen,
    actor: ActorId,
    vbd: Vbd,
    backend: Rc<RefCell<Backend>>,
}

pub(crate) struct Backend {
    bus: Bus,
    vbd: Vbd,
    disk: Disk,
    config: BlkbackConfig,
    connection: Option<Connection>,
    held: bool,
    served: Served,
    next_storm: Instant,
    /// Pages that a hostile backend does not let go of.
    kept: Vec<Rc<Memory>>,
    /// Bytes that a hostile backend found beside those of the requests.
    spied: Vec<u8>,
}

impl Blkback {
    /// Creates the vbd's directories and starts a backend for it.
    #[must_use]
    pub fn attach(
        xen: &Xen,
        toolstack: &Toolstack,
        vbd: Vbd,
        disk: &Disk,
        config: BlkbackConfig,
    ) -> Self {
        toolstack.create_vbd(&vbd, config.read_only);
        Self::start(xen, toolstack.store(), vbd, disk, config)
    }

    /// Starts a backend for a vbd whose directories are there.
    #[must_use]
    pub fn start(
        xen: &Xen,
        store: &Xenstored,
        vbd: Vbd,
        disk: &Disk,
        config: BlkbackConfig,
    ) -> Self {
        let backend = Rc::new(RefCell::new(Backend {
            bus: Bus::new(xen, store, vbd.frontend_path(), vbd.backend_path()),
            vbd,
            disk: disk.clone(),
            config,
            connection: None,
            held: false,
            served: Served::default(),
            next_storm: xen.now(),
            kept: Vec::new(),
            spied: Vec::new(),
        }));
        let actor = xen.spawn(format!("blkback {}", vbd.devid), backend.clone());
        backend.borrow_mut().bus.watch(actor);
        Self {
            xen: xen.clone(),
            actor,
            vbd,
            backend,
        }
    }

    /// The device it serves.
    #[must_use]
    pub fn vbd(&self) -> Vbd {
        self.vbd
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

    /// Whether it has a ring mapped.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.backend.borrow().connection.is_some()
    }

    /// Requests taken and not answered.
    #[must_use]
    pub fn pending(&self) -> usize {
        let backend = self.backend.borrow();
        backend.connection.as_ref().map_or(0, Connection::pending)
    }

    /// Holds all requests back, as a suspended device-mapper device does; `false` lets them go.
    pub fn set_held(&self, held: bool) {
        self.backend.borrow_mut().held = held;
        self.xen.wake(self.actor);
    }

    /// Stops doing anything at all, as a backend whose domain is paused; `false` goes on.
    pub fn set_frozen(&self, frozen: bool) {
        self.backend.borrow_mut().bus.frozen = frozen;
        self.xen.wake(self.actor);
    }

    /// Dies: its mappings and its port go, nothing is written any more. What it wrote in xenstore
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

    /// Gives the disk another size while it is in use, as `blkback` does when the device below it
    /// grows: the new `sectors` and the state again, together.
    pub fn resize(&self, sectors: u64) {
        self.backend.borrow_mut().resize(sectors);
    }

    /// Changes what it does that an honest backend does not.
    pub fn set_malice(&self, malice: Malice) {
        self.backend.borrow_mut().config.malice = malice;
        self.xen.wake(self.actor);
    }

    /// Falsifies its next response, and no other.
    pub fn tamper_next(&self, tamper: Tamper) {
        let responses = vec![(self.served().responses + 1, tamper)];
        self.set_malice(Malice {
            responses,
            ..Malice::default()
        });
    }

    /// Changes what it serves and how; keys that are published stay as they are.
    pub fn configure(&self, change: impl FnOnce(&mut BlkbackConfig)) {
        change(&mut self.backend.borrow_mut().config);
        self.xen.wake(self.actor);
    }

    /// Bytes that are not zero and that it found beside those of the requests, if malice had it
    /// spy.
    #[must_use]
    pub fn spied(&self) -> Vec<u8> {
        self.backend.borrow().spied.clone()
    }

    /// What the pages hold that stay mapped from one request to the next.
    #[must_use]
    pub fn persistent(&self) -> Vec<Vec<u8>> {
        let backend = self.backend.borrow();
        let connection = backend.connection.iter();
        let pages = connection.flat_map(Connection::persistent);
        let content = |page: &Memory| {
            let mut bytes = vec![0; page.len()];
            page.read(0, &mut bytes);
            bytes
        };
        pages.map(content).collect()
    }

    /// How many requests came from each of the queues.
    #[must_use]
    pub fn taken(&self) -> Vec<u64> {
        let backend = self.backend.borrow();
        let queues = backend.connection.iter().flat_map(|c| &c.queues);
        queues.map(|queue| queue.taken).collect()
    }

    /// Lets go of the pages that stay mapped, as a backend does that runs short of memory.
    pub fn unmap_persistent(&self) {
        if let Some(connection) = &mut self.backend.borrow_mut().connection {
            connection.unmap_persistent();
        }
    }

    /// How many pages malice keeps.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.backend.borrow().kept.len()
    }

    /// Fills the pages that malice kept, where they may be written, with `byte`.
    pub fn scribble_kept(&self, byte: u8) {
        for page in self
            .backend
            .borrow()
            .kept
            .iter()
            .filter(|page| page.is_writable())
        {
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

impl Actor for Backend {
    fn turn(&mut self, xen: &Xen) -> Next {
        self.work(xen)
    }
}
