//! One ring of a frontend's, and the requests that were taken from it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::vec;
use alloc::vec::Vec;

use geom::{Errno, Memory};
use hv::{DomId, GrantRef, Hypervisor, Instant};
use iobuf::{Copies, IoPage, PeerMemory, PersistentGrants, Segment as Part};
use pv::Channel;
use ring::PeerFault;
use xen_abi::io::blkif::{
    BadRequest, REQUEST_SIZE, Request, SEGMENT_SIZE, SEGMENTS_PER_INDIRECT_PAGE, Segment,
};

use crate::ledger::Ledger;
use crate::request::{List, Refusal, Terms, Wish};
use crate::slot::{Slot, refused};
use crate::statistics::Statistics;

/// The most segments of an indirect request: what one page lists, 2 MiB of data.
pub(crate) const INDIRECT_SEGMENTS: u16 = SEGMENTS_PER_INDIRECT_PAGE as u16;

/// Whose pages requests are about, and how they are reached.
pub(crate) struct Peer<H: Hypervisor> {
    pub(crate) domain: DomId,
    pub(crate) copies: Copies<H>,
    /// If it uses the same pages again and again.
    pub(crate) persistent: Option<Rc<PersistentGrants<H>>>,
}

impl<H: Hypervisor> Peer<H> {
    fn memory(&self) -> PeerMemory<H> {
        PeerMemory::new(&self.copies, self.domain, self.persistent.as_ref())
    }
}

/// A ring in use.
pub(crate) struct Queue<H: Hypervisor> {
    ledger: Rc<Ledger<H>>,
    peer: Rc<Peer<H>>,
    slots: Vec<Slot<H>>,
    free: Vec<usize>,
    /// Slots with something that GEOM was not asked for yet, in the order of their requests.
    asking: VecDeque<usize>,
    /// The frontend's page that lists the segments of an indirect request, the page that it is
    /// copied to, and what it says.
    their_list: PeerMemory<H>,
    list_page: Rc<dyn Memory>,
    list: Box<[[u8; SEGMENT_SIZE]]>,
}

/// What came of looking for a request.
pub(crate) enum Taken {
    /// There is none, or no place for one.
    Nothing,
    /// It was answered at once: it could not be meant.
    Refused,
    /// GEOM is to be asked for it: so many bytes.
    Begun(u64),
}

impl<H: Hypervisor> Queue<H> {
    pub(crate) fn new(ledger: Ledger<H>, peer: &Rc<Peer<H>>, list_page: IoPage<H>) -> Self {
        let capacity = ledger.capacity();
        Self {
            ledger: Rc::new(ledger),
            peer: peer.clone(),
            slots: Vec::new(),
            free: Vec::with_capacity(capacity),
            asking: VecDeque::with_capacity(capacity),
            their_list: peer.memory(),
            list_page: Rc::new(list_page),
            list: vec![[0; SEGMENT_SIZE]; SEGMENTS_PER_INDIRECT_PAGE].into_boxed_slice(),
        }
    }

    /// The frontend's event channel.
    pub(crate) fn channel(&self) -> &Channel<H> {
        &self.ledger.channel
    }

    /// What answers when the domain dies; it is gone with the queue.
    pub(crate) fn ledger(&self) -> Weak<Ledger<H>> {
        Rc::downgrade(&self.ledger)
    }

    /// Requests that are not answered.
    pub(crate) fn outstanding(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is a request that GEOM was not asked for, or that was not taken.
    pub(crate) fn has_more(&mut self) -> Result<bool, PeerFault> {
        Ok(!self.asking.is_empty() || self.ledger.has_request()?)
    }

    /// The request that GEOM is to be asked for next.
    pub(crate) fn asking(&mut self) -> Option<(usize, &mut Slot<H>)> {
        let index = *self.asking.front()?;
        Some((index, self.slots.get_mut(index)?))
    }

    /// GEOM was asked for all of the request that came first.
    pub(crate) fn asked(&mut self) {
        self.asking.pop_front();
    }

    /// Takes a request from the ring and judges it.
    pub(crate) fn take(
        &mut self,
        terms: &Terms,
        statistics: &mut Statistics,
        now: Instant,
    ) -> Result<Taken, PeerFault> {
        if self.free.is_empty() && self.slots.len() == self.ledger.capacity() {
            return Ok(Taken::Nothing);
        }
        let mut entry = [0; REQUEST_SIZE];
        let Some(echo) = self.ledger.take(&mut entry)? else {
            return Ok(Taken::Nothing);
        };
        let index = self.place();
        match self.judge(&Request::decode(&entry), terms, index) {
            Ok(wish) => {
                let slot = self.slots.get_mut(index);
                let length = slot.map_or(0, |slot| slot.begin(echo, wish, now));
                self.ledger.is_in(index);
                self.asking.push_back(index);
                Ok(Taken::Begun(length))
            }
            Err(refusal) => {
                self.free.push(index);
                statistics.refused += 1;
                self.ledger.answer_in_hand(refused(echo, refusal));
                Ok(Taken::Refused)
            }
        }
    }

    /// What the request wants; its parts of pages are the memory of slot `index` then.
    fn judge(
        &mut self,
        request: &Result<Request, BadRequest>,
        terms: &Terms,
        index: usize,
    ) -> Result<Wish, Refusal> {
        let (wish, list) = terms.judge(request)?;
        let entries = match list {
            List::Pages { grefs, count } => self.read_list(grefs[0], count)?,
            List::Inline | List::Nowhere => 0,
        };
        let memory = self.slots.get(index).ok_or(Refusal::Error)?.memory();
        match (list, request) {
            (List::Inline, Ok(Request::Direct(direct))) => {
                let segments = direct.segments().iter();
                memory.reset(segments.map(|segment| terms.part(*segment)))?;
            }
            (List::Pages { .. }, _) => {
                let entries = self.list.iter().take(entries);
                memory.reset(entries.map(|entry| terms.part(Segment::decode(entry))))?;
            }
            (List::Inline | List::Nowhere, _) => memory.clear(),
        }
        Ok(wish)
    }

    /// Reads the list of an indirect request: it is copied once, so what the frontend writes to it
    /// later changes nothing (case B08). All that is offered fits one page. Returns the number of
    /// its entries.
    fn read_list(&mut self, gref: u32, count: u16) -> Result<usize, Refusal> {
        let count = usize::from(count);
        let list = self.list.get_mut(..count).ok_or(Refusal::Error)?;
        let list = list.as_flattened_mut();
        let length = u16::try_from(list.len()).map_err(|_| Refusal::Error)?;
        let part = Part {
            reference: GrantRef(gref),
            offset: 0,
            length,
        };
        self.their_list.reset([Ok(part)].into_iter())?;
        self.their_list.copy_to(0, &self.list_page, 0, list.len());
        self.their_list.settle().map_err(|_| Refusal::Error)?;
        self.list_page.copy_out(0, list);
        Ok(count)
    }

    /// A free slot. There is one: that was seen before the request was taken.
    fn place(&mut self) -> usize {
        if let Some(index) = self.free.pop() {
            return index;
        }
        self.slots.push(Slot::new(self.peer.memory()));
        self.slots.len() - 1
    }

    /// Notes that GEOM is done with an order of the request in slot `index`; answers the request if
    /// that was the last one.
    pub(crate) fn completed(
        &mut self,
        index: usize,
        result: Result<(), Errno>,
        statistics: &mut Statistics,
        now: Instant,
    ) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if slot.completed(result) {
            let response = slot.answer(statistics, now);
            // After an error the rest was not asked for.
            self.asking.retain(|asking| *asking != index);
            self.free.push(index);
            self.ledger.answer(index, response);
        }
    }

    /// Ends all work: answers every request with an error, and lets go of its pages. Afterwards
    /// nothing must be done with the queue but [`refuse_new`](Self::refuse_new) and to publish:
    /// what GEOM still completes must not be told to it.
    pub(crate) fn retire(&mut self) {
        self.abandon();
        self.ledger.fail_all();
        self.asking.clear();
        self.slots.clear();
        self.free.clear();
    }

    /// Answers the requests in the ring with an error, a ring full of them at most; says whether
    /// there were any.
    pub(crate) fn refuse_new(&mut self) -> bool {
        self.ledger.refuse_new()
    }

    /// Has the pages of every request forgotten: what GEOM still does for one goes nowhere.
    pub(crate) fn abandon(&self) {
        self.peer.copies.flush();
        for slot in &self.slots {
            slot.memory().clear();
        }
        self.their_list.clear();
        // GEOM may keep what it was asked for, and the frontend ends these grants before it closes
        // its port.
        if let Some(persistent) = &self.peer.persistent {
            persistent.end();
        }
    }

    /// Shows the frontend its answers; says whether it must be told.
    pub(crate) fn publish(&mut self) -> bool {
        self.ledger.publish()
    }

    /// The last look before sleeping: says whether there is a request.
    pub(crate) fn final_check(&mut self) -> Result<bool, PeerFault> {
        self.ledger.final_check()
    }
}
