//! What a backend has of a frontend: its rings, and the requests that were taken from them.

use std::collections::BTreeMap;
use std::rc::Rc;

use hv::{DomId, Instant, Port, SharedMem};
use ring::{BackRing, Pages, PeerFault};

use super::malice::Malice;
use super::request::{ENTRY, FLUSH, Request, WRITE_BARRIER};
use crate::layout::ring as index;
use crate::{Memory, Xen};

/// The rings that are mapped, and what came from them.
pub(super) struct Connection {
    pub(super) queues: Vec<Queue>,
    pub(super) jobs: Vec<Job>,
    pub(super) sent: u64,
    /// Pages that stay mapped from one request to the next, by their references, and how many may;
    /// none where one side did not say that it does so.
    pub(super) persistent: BTreeMap<u32, Rc<Memory>>,
    pub(super) most_persistent: usize,
}

/// One ring.
pub(super) struct Queue {
    pub(super) ring: BackRing<Pages<Memory>>,
    pub(super) port: Port,
    /// Requests taken from it.
    pub(super) taken: u64,
}

/// A request under way.
pub(super) struct Job {
    /// Where it came from, and the answer goes.
    pub(super) queue: usize,
    pub(super) request: Request,
    pub(super) due: Instant,
    /// What it comes to: the pages to move, or the status to answer.
    pub(super) plan: Result<Vec<Piece>, i16>,
}

/// One segment's page, mapped.
pub(super) struct Piece {
    pub(super) page: Rc<Memory>,
    pub(super) at: usize,
    pub(super) length: usize,
}

impl Connection {
    pub(super) fn open(
        rings: Vec<(Pages<Memory>, Port)>,
        guest: DomId,
        malice: &Malice,
        xen: &Xen,
    ) -> Result<Self, PeerFault> {
        let mut queues = Vec::new();
        for (pages, port) in rings {
            queues.push(Queue::open(pages, port, guest, malice, xen)?);
        }
        Ok(Self {
            queues,
            jobs: Vec::new(),
            sent: 0,
            persistent: BTreeMap::new(),
            most_persistent: 0,
        })
    }

    /// Keeps up to `most` pages mapped from now on.
    pub(super) fn keep_mapped(&mut self, most: usize) {
        self.most_persistent = most;
    }

    /// Pages that stay mapped from one request to the next.
    pub(super) fn persistent(&self) -> impl Iterator<Item = &Memory> {
        self.persistent.values().map(|page| &**page)
    }

    /// Lets go of them.
    pub(super) fn unmap_persistent(&mut self) {
        self.persistent.clear();
    }

    pub(super) fn pending(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn entries(&self) -> u32 {
        self.queues.iter().map(|queue| queue.ring.capacity()).sum()
    }

    /// The jobs that may be finished now: what comes after a barrier waits for it, and a barrier or
    /// a flush waits for what came before.
    pub(super) fn ready(&self, now: Instant) -> Vec<usize> {
        let mut ready = Vec::new();
        for (index, job) in self.jobs.iter().enumerate() {
            let operation = job.request.operation;
            let ordered = operation == WRITE_BARRIER || operation == FLUSH;
            if job.due <= now && (!ordered || index == 0) {
                ready.push(index);
            }
            if operation == WRITE_BARRIER {
                break;
            }
        }
        ready
    }
}

impl Queue {
    fn open(
        pages: Pages<Memory>,
        port: Port,
        guest: DomId,
        malice: &Malice,
        xen: &Xen,
    ) -> Result<Self, PeerFault> {
        if malice.flip_after_read {
            for page in pages.pages() {
                flip_after_read(page, guest);
            }
        }
        let ring = BackRing::attach(pages, ENTRY)?;
        if malice.dirty_ring {
            for at in [index::REQ_PROD, index::REQ_EVENT, index::RSP_PROD] {
                let word = xen.rng().next().to_le_bytes();
                ring.memory().write(at, &word[..4]);
            }
            // What it does to the ring is no reason for it to stop.
            let _ = ring.final_check();
        }
        Ok(Self {
            ring,
            port,
            taken: 0,
        })
    }
}

/// After the guest has read a response slot, its first 16 bytes are inverted.
fn flip_after_read(page: &Memory, guest: DomId) {
    page.frame()
        .set_snoop(Some(Box::new(move |frame, reader, offset, length| {
            if reader == guest && offset >= index::HEADER && length >= 8 {
                let mut bytes = vec![0; length.min(16)];
                frame.peek(offset, &mut bytes);
                bytes.iter_mut().for_each(|byte| *byte = !*byte);
                frame.poke(offset, &bytes);
            }
        })));
}
