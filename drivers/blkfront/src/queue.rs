//! Requests on their way to the backend, and the answers.
//!
//! A bio becomes exactly one request: GEOM cuts requests to what one can carry, and when that has
//! become less meanwhile, the bio is cut here. What is known of a request stands in a private slot;
//! the backend's answer names a slot, and is believed only if that slot waits for exactly this
//! answer.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use geom::disk::{Command, DiskBio};
use geom::{Buffer, Errno};
use hv::{Hypervisor, PAGE_SIZE, SharedMem};
use pv::Granted;
use ring::{FrontRing, Pages, PeerFault};
use xen_abi::io::blkif::{
    Direct, MAX_INDIRECT_PAGES_PER_REQUEST, MAX_SEGMENTS_PER_REQUEST, OP_FLUSH_DISKCACHE,
    OP_INDIRECT, OP_READ, OP_WRITE, OP_WRITE_BARRIER, REQUEST_SIZE, RESPONSE_SIZE, RSP_EOPNOTSUPP,
    RSP_OKAY, Request, Response, SECTOR_SIZE, SEGMENT_SIZE, Segment,
};

use crate::feature::Features;
use crate::pool::Pool;

/// A request's id holds the slot's index in its low bits and a number that is never used again
/// above them, so an answer given twice is recognised even when the slot is in use again.
const INDEX_BITS: u32 = 16;

/// A ring in use, and what was put into it.
pub(crate) struct Queue<H: Hypervisor> {
    ring: FrontRing<Pages<Granted<H>>>,
    pool: Pool<H>,
    slots: Vec<Slot<H>>,
    free: Vec<usize>,
    sequence: u64,
    handle: u16,
    features: Features,
    scratch: Vec<u8>,
    segments: Vec<Segment>,
}

struct Slot<H: Hypervisor> {
    id: u64,
    /// There while the backend owes an answer.
    bio: Option<DiskBio>,
    operation: u8,
    pages: Vec<Granted<H>>,
    /// The page of segments of an indirect request.
    list: Option<Granted<H>>,
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
        let slot = |_| Slot {
            id: 0,
            bio: None,
            operation: 0,
            pages: Vec::new(),
            list: None,
        };
        Self {
            ring,
            pool,
            slots: (0..capacity).map(slot).collect(),
            free: (0..capacity).rev().collect(),
            sequence: 0,
            handle,
            features,
            scratch: vec![0; PAGE_SIZE],
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
        let mut pushed = false;
        let most = (self.features.segments * PAGE_SIZE) as u64;
        while let Some(mut bio) = waiting.pop_front() {
            if let Some(front) = bio.cut(most) {
                waiting.push_front(bio);
                bio = front;
            }
            let Some(operation) = self.operation(bio.command) else {
                bio.complete(Err(Errno::NotSupported));
                continue;
            };
            match self.push(operation, bio) {
                Ok(()) => pushed = true,
                Err(bio) => {
                    waiting.push_front(bio);
                    break;
                }
            }
        }
        pushed && self.ring.publish()
    }

    fn operation(&self, command: Command) -> Option<u8> {
        match command {
            Command::Read => Some(OP_READ),
            Command::Write => Some(OP_WRITE),
            Command::Flush if self.features.flush => Some(OP_FLUSH_DISKCACHE),
            Command::Flush if self.features.barrier => Some(OP_WRITE_BARRIER),
            Command::Flush | Command::Delete | Command::Erase => None,
        }
    }

    /// Makes a request of `bio`; gives it back if there is no room.
    fn push(&mut self, operation: u8, bio: DiskBio) -> Result<(), DiskBio> {
        let count = bio.data.len().div_ceil(PAGE_SIZE);
        let indirect = count > MAX_SEGMENTS_PER_REQUEST;
        let Some(&index) = self.free.last() else {
            return Err(bio);
        };
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(bio);
        };
        slot.pages.reserve(count + usize::from(indirect));
        if self.ring.free() == 0
            || !self
                .pool
                .take(count + usize::from(indirect), &mut slot.pages)
        {
            return Err(bio);
        }
        if indirect {
            slot.list = slot.pages.pop();
        }
        self.sequence += 1;
        slot.id = self.sequence << INDEX_BITS | index as u64;
        slot.operation = operation;
        if operation == OP_WRITE {
            to_pages(&bio.data, &slot.pages, &mut self.scratch);
        }
        describe(bio.data.len(), &slot.pages, &mut self.segments);
        let sector = bio.offset / SECTOR_SIZE;
        let request = slot.request(self.handle, sector, &self.segments);
        slot.bio = Some(bio);
        self.free.pop();
        let mut entry = [0; REQUEST_SIZE];
        request.encode(&mut entry);
        // There is a free entry: that was asked above.
        let _pushed = self.ring.push(&entry);
        Ok(())
    }

    /// Takes every answer there is. What the backend turned out not to know goes back to the front
    /// of `waiting` if there is another way to ask for it.
    ///
    /// # Errors
    /// The first thing the backend may not do; the queue is of no more use then.
    pub(crate) fn finish(
        &mut self,
        waiting: &mut VecDeque<DiskBio>,
    ) -> Result<Answers, Misbehaviour> {
        let mut answers = Answers::default();
        let mut entry = [0; RESPONSE_SIZE];
        loop {
            while self
                .ring
                .take(&mut entry)
                .map_err(Misbehaviour::Ring)?
                .is_some()
            {
                answers.count += 1;
                answers.withdrew |= self.answer(Response::decode(&entry), waiting)?;
            }
            if !self.ring.final_check().map_err(Misbehaviour::Ring)? {
                return Ok(answers);
            }
        }
    }

    /// Ends the request that `response` answers; says whether a feature was withdrawn.
    fn answer(
        &mut self,
        response: Response,
        waiting: &mut VecDeque<DiskBio>,
    ) -> Result<bool, Misbehaviour> {
        let index = usize::try_from(response.id & ((1 << INDEX_BITS) - 1)).unwrap_or(usize::MAX);
        let slot = self
            .slots
            .get_mut(index)
            .filter(|slot| slot.id == response.id);
        let slot = slot.ok_or(Misbehaviour::UnknownId(response.id))?;
        let asked = slot.operation;
        let indirect = slot.list.is_some() && response.operation == OP_INDIRECT;
        if response.operation != asked && !indirect {
            return Err(Misbehaviour::Operation {
                asked,
                answered: response.operation,
            });
        }
        let bio = slot
            .bio
            .take()
            .ok_or(Misbehaviour::UnknownId(response.id))?;
        let was_indirect = slot.list.is_some();
        if asked == OP_READ && response.status == RSP_OKAY {
            from_pages(&slot.pages, &bio.data, &mut self.scratch);
        }
        self.pool.give(&mut slot.pages);
        if let Some(list) = slot.list.take() {
            self.pool.give_one(list);
        }
        self.free.push(index);
        match response.status {
            RSP_OKAY => bio.complete(Ok(())),
            RSP_EOPNOTSUPP => return Ok(self.withdraw(asked, was_indirect, bio, waiting)),
            _ => bio.complete(Err(Errno::Io)),
        }
        Ok(false)
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

impl<H: Hypervisor> Slot<H> {
    /// The request for the ring; the segments of an indirect one go to its own page.
    fn request(&self, handle: u16, sector: u64, segments: &[Segment]) -> Request {
        let (operation, id) = (self.operation, self.id);
        if self.list.is_none()
            && let Some(direct) = Direct::new(operation, handle, id, sector, segments)
        {
            return Request::Direct(direct);
        }
        let mut grefs = [0; MAX_INDIRECT_PAGES_PER_REQUEST];
        if let Some(list) = &self.list {
            grefs[0] = list.reference().0;
            for (index, segment) in segments.iter().enumerate() {
                list.write(index * SEGMENT_SIZE, &segment.encode());
            }
        }
        // At most 64 segments: `Features` sees to that.
        let segments = u16::try_from(segments.len()).unwrap_or(0);
        Request::Indirect {
            operation,
            handle,
            id,
            sector,
            segments,
            grefs,
        }
    }
}

/// Describes `length` bytes that fill `pages` from the start.
fn describe<H: Hypervisor>(length: usize, pages: &[Granted<H>], segments: &mut Vec<Segment>) {
    segments.clear();
    let sectors_left =
        |index: usize| (length - index * PAGE_SIZE).min(PAGE_SIZE) / SECTOR_SIZE as usize;
    segments.extend(pages.iter().enumerate().map(|(index, page)| Segment {
        gref: page.reference().0,
        first_sect: 0,
        // A page holds 8 sectors, and a bio whole ones.
        last_sect: u8::try_from(sectors_left(index).saturating_sub(1)).unwrap_or(7),
    }));
}

/// Copies what is to be written.
fn to_pages<H: Hypervisor>(data: &Buffer, pages: &[Granted<H>], scratch: &mut [u8]) {
    for_each_part(data.len(), pages, |page, at, length| {
        if let Some(part) = scratch.get_mut(..length)
            && data.read(at, part).is_ok()
        {
            page.write(0, part);
        }
    });
}

/// Copies what was read.
fn from_pages<H: Hypervisor>(pages: &[Granted<H>], data: &Buffer, scratch: &mut [u8]) {
    for_each_part(data.len(), pages, |page, at, length| {
        if let Some(part) = scratch.get_mut(..length) {
            page.read(0, part);
            // The parts of a buffer's own length lie inside it.
            let _inside = data.write(at, part);
        }
    });
}

fn for_each_part<H: Hypervisor>(
    length: usize,
    pages: &[Granted<H>],
    mut copy: impl FnMut(&Granted<H>, usize, usize),
) {
    for (page, at) in pages.iter().zip((0..length).step_by(PAGE_SIZE)) {
        copy(page, at, (length - at).min(PAGE_SIZE));
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
