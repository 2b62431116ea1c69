//! Requests on their way to the backend, and the answers.
//!
//! A bio becomes exactly one request: GEOM cuts requests to what one can carry, and when that has
//! become less meanwhile, the bio is cut here. What is known of a request stands in a private slot;
//! the backend's answer names a slot, and is believed only if that slot waits for exactly this
//! answer.
//!
//! The data may be another domain's, and then Xen copies it, and may refuse to. So the copies of
//! all requests are noted first and made together; a request is shown to the backend, or completed,
//! only when its own are known to be done.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use geom::Errno;
use geom::disk::{Command, DiskBio};
use hv::{Hypervisor, PAGE_SIZE};
use pv::Granted;
use ring::{FrontRing, Pages, PeerFault};
use xen_abi::io::blkif::{
    MAX_SEGMENTS_PER_REQUEST, OP_DISCARD, OP_FLUSH_DISKCACHE, OP_READ, OP_WRITE, OP_WRITE_BARRIER,
    REQUEST_SIZE, RESPONSE_SIZE, RSP_EOPNOTSUPP, RSP_OKAY, Response, Segment,
};

use crate::discard::Discard;
use crate::feature::Features;
use crate::pool::Pool;
use crate::slot::Slot;

/// A request's id holds the slot's index in its low bits and a number that is never used again
/// above them, so an answer given twice is recognised even when the slot is in use again.
const INDEX_BITS: u32 = 16;

/// A ring in use, and what was put into it.
pub(crate) struct Queue<H: Hypervisor> {
    ring: FrontRing<Pages<Granted<H>>>,
    pool: Pool<H>,
    slots: Vec<Slot<H>>,
    free: Vec<usize>,
    /// Slots whose data is on its way to their pages.
    filling: Vec<usize>,
    /// Answered requests whose data is on its way from their pages.
    emptying: Vec<Answered>,
    sequence: u64,
    handle: u16,
    features: Features,
    segments: Vec<Segment>,
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
    /// A queue over an empty ring. `handle` is the device number's low 16 bits.
    pub(crate) fn new(
        ring: FrontRing<Pages<Granted<H>>>,
        pool: Pool<H>,
        handle: u16,
        features: Features,
    ) -> Self {
        let capacity = ring.capacity() as usize;
        Self {
            ring,
            pool,
            slots: (0..capacity).map(|_| Slot::new()).collect(),
            free: (0..capacity).rev().collect(),
            filling: Vec::with_capacity(capacity),
            emptying: Vec::with_capacity(capacity),
            sequence: 0,
            handle,
            features,
            segments: Vec::with_capacity(features.segments),
        }
    }

    /// What the backend is still believed to understand.
    pub(crate) fn features(&self) -> Features {
        self.features
    }

    /// Believes the backend to understand `features` from now on.
    pub(crate) fn set_features(&mut self, features: Features) {
        self.features = features;
    }

    /// Requests without an answer.
    pub(crate) fn outstanding(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Turns as many of `waiting` into requests as there is room for; says whether the backend must
    /// be told. What finds no room stays, in order: an answer makes room.
    pub(crate) fn start(&mut self, waiting: &mut VecDeque<DiskBio>) -> bool {
        let most = (self.features.segments * PAGE_SIZE) as u64;
        while let Some(mut bio) = waiting.pop_front() {
            if !bio.data.is_empty()
                && let Some(front) = bio.cut(most)
            {
                waiting.push_front(bio);
                bio = front;
            }
            let operation = match self.operation(&mut bio) {
                Ok(operation) => operation,
                Err(result) => {
                    bio.complete(result);
                    continue;
                }
            };
            if let Err(bio) = self.prepare(operation, bio) {
                waiting.push_front(bio);
                break;
            }
        }
        self.send()
    }

    /// What the backend is to be asked to do for `bio`, which is cut to where it may be done; or
    /// what comes of it without asking.
    fn operation(&self, bio: &mut DiskBio) -> Result<u8, Result<(), Errno>> {
        match (bio.command, self.features.discard) {
            (Command::Read, _) => Ok(OP_READ),
            (Command::Write, _) => Ok(OP_WRITE),
            (Command::Flush, _) if self.features.flush => Ok(OP_FLUSH_DISKCACHE),
            (Command::Flush, _) if self.features.barrier => Ok(OP_WRITE_BARRIER),
            (Command::Delete, Some(discard)) => {
                let ahead = discard.gap(bio.offset);
                if ahead >= bio.length {
                    // No extent begins in it, and it was only a hint.
                    return Err(Ok(()));
                }
                bio.offset += ahead;
                bio.length -= ahead;
                Ok(OP_DISCARD)
            }
            (Command::Erase, Some(discard)) if discard.secure => {
                if discard.gap(bio.offset) == 0 {
                    Ok(OP_DISCARD)
                } else {
                    Err(Err(Errno::Invalid))
                }
            }
            _ => Err(Err(Errno::NotSupported)),
        }
    }

    /// Takes a slot and pages for `bio`, and notes the copies of what it writes; gives it back if
    /// there is no room.
    fn prepare(&mut self, operation: u8, bio: DiskBio) -> Result<(), DiskBio> {
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
        slot.id = self.sequence << INDEX_BITS | index as u64;
        slot.operation = operation;
        slot.fill(&bio.data);
        slot.bio = Some(bio);
        self.free.pop();
        self.filling.push(index);
        Ok(())
    }

    /// Shows the backend what is prepared and whose data is there; says whether it must be told.
    fn send(&mut self) -> bool {
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
        pushed && self.ring.publish()
    }

    /// Takes every answer there is. What the backend turned out not to know goes back to the front
    /// of `waiting` if there is another way to ask for it.
    ///
    /// # Errors
    /// The first thing the backend may not do; the queue is of no more use then. What was answered
    /// before is completed.
    pub(crate) fn finish(
        &mut self,
        waiting: &mut VecDeque<DiskBio>,
    ) -> Result<Answers, Misbehaviour> {
        let taken = self.take_answers();
        let answers = self.complete(waiting);
        taken.map(|()| answers)
    }

    fn take_answers(&mut self) -> Result<(), Misbehaviour> {
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
    fn complete(&mut self, waiting: &mut VecDeque<DiskBio>) -> Answers {
        let mut answers = Answers::default();
        let mut emptying = core::mem::take(&mut self.emptying);
        for Answered { index, bio, status } in emptying.drain(..) {
            answers.count += 1;
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            let result = match status {
                RSP_OKAY if slot.operation == OP_READ => bio.data.settle(),
                RSP_OKAY => Ok(()),
                _ => Err(Errno::Io),
            };
            let (asked, was_indirect) = (slot.operation, slot.is_indirect());
            slot.give_pages(&mut self.pool);
            self.free.push(index);
            if status == RSP_EOPNOTSUPP {
                answers.withdrew |= self.withdraw(asked, was_indirect, bio, waiting);
            } else {
                bio.complete(result);
            }
        }
        self.emptying = emptying;
        answers
    }

    /// The backend does not know an operation after all (EOPNOTSUPP): it is not asked again. Says
    /// whether that changes what the disk can do.
    fn withdraw(
        &mut self,
        asked: u8,
        was_indirect: bool,
        bio: DiskBio,
        waiting: &mut VecDeque<DiskBio>,
    ) -> bool {
        let another_way = match asked {
            OP_FLUSH_DISKCACHE => {
                self.features.flush = false;
                self.features.barrier
            }
            OP_WRITE_BARRIER => {
                self.features.barrier = false;
                false
            }
            OP_DISCARD => {
                self.features.discard = match (bio.command, self.features.discard) {
                    (Command::Erase, Some(discard)) => Some(Discard {
                        secure: false,
                        ..discard
                    }),
                    _ => None,
                };
                false
            }
            // In direct requests.
            _ if was_indirect => {
                self.features.segments = MAX_SEGMENTS_PER_REQUEST;
                true
            }
            _ => {
                bio.complete(Err(Errno::NotSupported));
                return false;
            }
        };
        if another_way {
            waiting.push_front(bio);
        } else {
            bio.complete(Err(Errno::NotSupported));
        }
        true
    }

    /// Fails every request without an answer. The pages that a peer may still write are parked;
    /// what is left only counts answers that come too late.
    pub(crate) fn abandon(mut self, why: Errno) -> Remnant<H> {
        for slot in &mut self.slots {
            if let Some(bio) = slot.bio.take() {
                bio.complete(Err(why));
            }
        }
        Remnant { ring: self.ring }
    }
}

/// A ring whose requests have all been failed, kept while the backend still maps it.
pub(crate) struct Remnant<H: Hypervisor> {
    ring: FrontRing<Pages<Granted<H>>>,
}

impl<H: Hypervisor> Remnant<H> {
    /// Counts answers that came since the last look. Nobody is given them.
    pub(crate) fn late(&mut self) -> u64 {
        let mut entry = [0; RESPONSE_SIZE];
        let mut count = 0;
        while let Ok(Some(())) = self.ring.take(&mut entry) {
            count += 1;
        }
        count
    }

    /// Whether the backend still maps any page of the ring.
    pub(crate) fn is_mapped(&self) -> bool {
        self.ring.memory().pages().iter().any(Granted::is_mapped)
    }
}
