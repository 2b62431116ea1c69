//! Requests on their way to the backend, and the answers.
//!
//! A bio becomes exactly one request: GEOM cuts requests to what one can carry, and when that has
//! become less meanwhile, the bio is cut before it comes here. What is known of a request stands in
//! a private slot; the backend's answer names a slot, and is believed only if that slot waits for
//! exactly this answer.
//!
//! The data may be another domain's, and then Xen copies it, and may refuse to. So the copies of
//! all requests are noted first and made together; a request is shown to the backend, or completed,
//! only when its own are known to be done.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use geom::Errno;
use geom::disk::DiskBio;
use hv::Hypervisor;
use pv::{Channel, Granted, Pv};
use ring::{FrontRing, Pages, PeerFault};
use xen_abi::io::blkif::{
    OP_READ, OP_WRITE, REQUEST_SIZE, RESPONSE_SIZE, RSP_EOPNOTSUPP, RSP_OKAY, Response, Segment,
};

use crate::fault::Fault;
use crate::feature::Features;
use crate::operation::Withdrawn;
use crate::pool::{Pool, granted_page};
use crate::queues::{Keys, Peer};
use crate::slot::Slot;

/// A request's id holds the slot's index in its low bits, its queue above them, and a number that
/// is never used again above those, so an answer given twice, or by another queue's ring, is
/// recognised even when the slot is in use again.
const INDEX_BITS: u32 = 12;
/// So many queues can be told apart.
const QUEUE_BITS: u32 = 4;
/// The most queues.
pub(crate) const MOST_QUEUES: u32 = 1 << QUEUE_BITS;

/// A request costs up to 64 pages of data, so the pools of a disk are bounded by a share of the
/// domain's memory.
const POOL_SHARE: usize = 16;

/// A ring in use, and what was put into it.
pub(crate) struct Queue<H: Hypervisor> {
    ring: FrontRing<Pages<Granted<H>>>,
    channel: Channel<H>,
    pool: Pool<H>,
    slots: Vec<Slot<H>>,
    free: Vec<usize>,
    /// Slots whose data is on its way to their pages.
    filling: Vec<usize>,
    /// Answered requests whose data is on its way from their pages.
    emptying: Vec<Answered>,
    /// Which of the device's it is.
    number: u32,
    sequence: u64,
    /// The device number's low 16 bits.
    handle: u16,
    segments: Vec<Segment>,
}

/// What is left of a queue: its ring, and the pages of the requests that were not answered. As long
/// as the backend has the ring it may come to those requests, and to the references in them: none
/// may be another page's by then.
pub(crate) struct Abandoned<H: Hypervisor> {
    /// Ends before the slots: no request is to be found when their pages are let go of.
    pub(crate) ring: FrontRing<Pages<Granted<H>>>,
    slots: Vec<Slot<H>>,
}

impl<H: Hypervisor> Abandoned<H> {
    /// Gives back the memory of slots that have no pages.
    pub(crate) fn shrink(&mut self) {
        self.slots.retain(Slot::has_pages);
        self.slots.shrink_to_fit();
    }
}

/// A request that the backend has answered.
struct Answered {
    index: usize,
    bio: DiskBio,
    status: i16,
}

/// What the backend did that no backend may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misbehaviour {
    Ring(PeerFault),
    UnknownId(u64),
    Operation { asked: u8, answered: u8 },
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(fault) => fault.fmt(f),
            Self::UnknownId(id) => {
                write!(f, "it answered request {id:#x}, which is not outstanding")
            }
            Self::Operation { asked, answered } => {
                write!(
                    f,
                    "it answered operation {answered} to a request for operation {asked}"
                )
            }
        }
    }
}

/// What came of looking at the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    /// Requests that were answered.
    pub(crate) count: usize,
    /// The backend turned out not to know an operation it had offered: the limits have changed.
    pub(crate) withdrew: bool,
}

impl<H: Hypervisor> Queue<H> {
    /// Queue `number` over an empty ring.
    pub(crate) fn new(
        pv: &Pv<H>,
        peer: Peer<'_>,
        features: Features,
        number: u32,
    ) -> Result<Self, Fault> {
        let pages: Vec<_> = (0..1usize << features.ring_order)
            .map(|_| granted_page(pv, peer.domain))
            .collect::<Result<_, _>>()
            .map_err(Fault::Ring)?;
        let channel = pv.events.alloc_unbound(peer.domain, peer.name);
        let channel = channel.map_err(Fault::Port)?;
        let ring = FrontRing::init(Pages::new(pages), REQUEST_SIZE);
        let capacity = ring.capacity() as usize;
        let least = features.segments + 1;
        let share = pv.hv.memory_use().total / POOL_SHARE / features.queues as usize;
        let most = share.min(capacity * least);
        let pool = Pool::new(pv, peer.domain, least, most, !peer.trusted);
        Ok(Self {
            ring,
            channel,
            pool: pool.map_err(Fault::Pool)?,
            slots: (0..capacity).map(|_| Slot::new()).collect(),
            free: (0..capacity).rev().collect(),
            filling: Vec::with_capacity(capacity),
            emptying: Vec::with_capacity(capacity),
            number,
            sequence: 0,
            handle: u16::try_from(peer.device & 0xffff).unwrap_or(0),
            segments: Vec::with_capacity(features.segments),
        })
    }

    /// Adds the nodes that tell the backend where the queue is; `folder` is what their keys begin
    /// with.
    pub(crate) fn add_keys(&self, folder: &str, keys: &mut Keys) {
        let pages = self.ring.memory().pages();
        for (index, page) in pages.iter().enumerate() {
            let key = match pages.len() {
                1 => format!("{folder}ring-ref"),
                _ => format!("{folder}ring-ref{index}"),
            };
            keys.push((key, page.reference().to_string()));
        }
        let port = self.channel.port();
        keys.push((format!("{folder}event-channel"), port.to_string()));
    }

    /// What the backend is told by, and tells by.
    pub(crate) fn channel(&self) -> &Channel<H> {
        &self.channel
    }

    /// Requests without an answer.
    pub(crate) fn outstanding(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes a slot and pages for `bio`, and notes the copies of what it writes; gives it back if
    /// there is no room. One that is prepared is to be [sent](Self::send).
    pub(crate) fn prepare(&mut self, operation: u8, bio: DiskBio) -> Result<(), DiskBio> {
        let Some(&index) = self.free.last() else {
            return Err(bio);
        };
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(bio);
        };
        if !slot.take_pages(bio.data.len(), &mut self.pool) {
            return Err(bio);
        }
        self.sequence += 1;
        let above = self.sequence << QUEUE_BITS | u64::from(self.number);
        slot.id = above << INDEX_BITS | index as u64;
        slot.operation = operation;
        slot.fill(&bio.data);
        slot.bio = Some(bio);
        self.free.pop();
        self.filling.push(index);
        Ok(())
    }

    /// Shows the backend what is prepared and whose data is there, and tells it if it must be told.
    pub(crate) fn send(&mut self) {
        let mut pushed = false;
        for index in self.filling.drain(..) {
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            let Some(bio) = slot.bio.take() else {
                continue;
            };
            let written = slot.operation == OP_WRITE;
            if written && let Err(errno) = bio.data.settle() {
                // The pages hold something else than what was to be written.
                slot.give_pages(&mut self.pool);
                self.free.push(index);
                bio.complete(Err(errno));
                continue;
            }
            let mut entry = [0; REQUEST_SIZE];
            slot.request(self.handle, &bio, &mut self.segments)
                .encode(&mut entry);
            slot.bio = Some(bio);
            // A slot was free, so an entry is.
            let _pushed = self.ring.push(&entry);
            pushed = true;
        }
        if pushed && self.ring.publish() {
            self.channel.notify();
        }
    }

    /// Takes every answer there is, and notes the copies of what was read. What was answered is to
    /// be [completed](Self::complete), also after an error.
    ///
    /// # Errors
    /// The first thing the backend may not do; the queue is of no more use then.
    pub(crate) fn take_answers(&mut self) -> Result<(), Misbehaviour> {
        let mut entry = [0; RESPONSE_SIZE];
        loop {
            while self
                .ring
                .take(&mut entry)
                .map_err(Misbehaviour::Ring)?
                .is_some()
            {
                self.note(&Response::decode(&entry))?;
            }
            if !self.ring.final_check().map_err(Misbehaviour::Ring)? {
                return Ok(());
            }
        }
    }

    /// Finds the request that `response` answers, and notes the copies of what it has read.
    fn note(&mut self, response: &Response) -> Result<(), Misbehaviour> {
        let index = usize::try_from(response.id & ((1 << INDEX_BITS) - 1)).unwrap_or(usize::MAX);
        let slot = self
            .slots
            .get_mut(index)
            .filter(|slot| slot.id == response.id);
        let slot = slot.ok_or(Misbehaviour::UnknownId(response.id))?;
        if !slot.is_answered_by(response) {
            return Err(Misbehaviour::Operation {
                asked: slot.operation,
                answered: response.operation,
            });
        }
        let bio = slot
            .bio
            .take()
            .ok_or(Misbehaviour::UnknownId(response.id))?;
        if response.status == RSP_OKAY {
            slot.empty(&bio.data);
        }
        self.emptying.push(Answered {
            index,
            bio,
            status: response.status,
        });
        Ok(())
    }

    /// Completes what was answered, once its data is where it belongs. No page is used again
    /// before.
    ///
    /// What the backend turned out not to know is taken from `features`; it goes back to the front
    /// of `waiting` if there is another way to ask for it.
    pub(crate) fn complete(
        &mut self,
        features: &mut Features,
        waiting: &mut VecDeque<DiskBio>,
        answers: &mut Answers,
    ) {
        for Answered { index, bio, status } in self.emptying.drain(..) {
            answers.count += 1;
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            let result = match status {
                RSP_OKAY if slot.operation == OP_READ => bio.data.settle(),
                RSP_OKAY => Ok(()),
                RSP_EOPNOTSUPP => Err(Errno::NotSupported),
                _ => Err(Errno::Io),
            };
            let (asked, was_indirect) = (slot.operation, slot.is_indirect());
            slot.give_pages(&mut self.pool);
            self.free.push(index);
            if status == RSP_EOPNOTSUPP {
                let withdrawn = features.withdraw(asked, was_indirect, bio.command);
                answers.withdrew |= withdrawn != Withdrawn::Nothing;
                if withdrawn == Withdrawn::OneWay {
                    waiting.push_front(bio);
                    continue;
                }
            }
            bio.complete(result);
        }
    }

    /// Lets go of the pages that no request uses, beyond what there may be now.
    pub(crate) fn trim(&mut self) {
        self.pool.trim();
    }

    /// Fails every request without an answer, and parks the pages that it names. Allocates nothing.
    pub(crate) fn abandon(mut self, why: Errno) -> Abandoned<H> {
        for slot in &mut self.slots {
            if let Some(bio) = slot.bio.take() {
                slot.park_pages();
                bio.complete(Err(why));
            }
        }
        Abandoned {
            ring: self.ring,
            slots: self.slots,
        }
    }
}
