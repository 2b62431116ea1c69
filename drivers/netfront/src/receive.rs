//! The ring of packets that are received.
//!
//! Its pages are granted once. Each answer lies in the slot of the request it answers, so slots are
//! answered in their order; its bytes are copied out, and the page is offered again at once.

use alloc::vec::Vec;

use hv::{Hypervisor, SharedMem};
use pv::Granted;
use ring::FrontRing;
use xen_abi::io::netif::{RX_ENTRY_SIZE, RxRequest};

use crate::chain::{Chain, Packet};
use crate::misbehaviour::Misbehaviour;

/// Pages offered again until the backend is shown them.
const FEW: u32 = 16;

/// The ring, its pages, and the packet that has begun.
pub(crate) struct Receiver<H: Hypervisor> {
    ring: FrontRing<Granted<H>>,
    /// By slot.
    pages: Vec<Option<Granted<H>>>,
    /// Requests that were made, and answers that were taken, since the beginning.
    offered: u32,
    taken: u32,
    unpublished: u32,
    chain: Chain,
    /// The packet's bytes so far: the first `length` of these.
    buffer: Vec<u8>,
    length: usize,
}

/// What came of looking for a packet.
pub(crate) enum Found {
    /// It has so many bytes.
    Packet(Packet, usize),
    /// There is none, or not all of it.
    Nothing,
}

impl<H: Hypervisor> Receiver<H> {
    /// A ring in `page` that offers `pages`, not more than it has entries.
    pub(crate) fn new(page: Granted<H>, pages: Vec<Granted<H>>) -> Self {
        let ring = FrontRing::init(page, RX_ENTRY_SIZE);
        let mut this = Self {
            pages: (0..ring.capacity()).map(|_| None).collect(),
            ring,
            offered: 0,
            taken: 0,
            unpublished: 0,
            chain: Chain::default(),
            buffer: Vec::new(),
            length: 0,
        };
        for page in pages {
            this.offer(page);
        }
        this
    }

    pub(crate) fn page(&self) -> &Granted<H> {
        self.ring.memory()
    }

    /// Pages that are offered.
    pub(crate) fn pages(&self) -> impl Iterator<Item = &Granted<H>> {
        self.pages.iter().flatten()
    }

    fn slot(&self, index: u32) -> usize {
        (index & (self.ring.capacity() - 1)) as usize
    }

    fn offer(&mut self, page: Granted<H>) {
        let request = RxRequest {
            // As slots are answered in their order, this says which is meant.
            id: self.offered as u16,
            gref: page.reference().0,
        };
        let slot = self.slot(self.offered);
        if self.ring.push(&request.encode()).is_ok()
            && let Some(place) = self.pages.get_mut(slot)
        {
            *place = Some(page);
            self.offered = self.offered.wrapping_add(1);
            self.unpublished += 1;
        }
    }

    /// Shows the backend the pages that are offered; says whether it must be told.
    pub(crate) fn publish(&mut self) -> bool {
        self.unpublished = 0;
        self.ring.publish()
    }

    /// Whether enough pages wait to be shown to the backend.
    pub(crate) fn should_publish(&self) -> bool {
        self.unpublished >= FEW
    }

    /// Takes the next slots until a packet is whole.
    pub(crate) fn take(&mut self) -> Result<Found, Misbehaviour> {
        let mut entry = [0; RX_ENTRY_SIZE];
        // A packet has fewer slots, or is one that no backend may send.
        while self
            .ring
            .take(&mut entry)
            .map_err(Misbehaviour::Ring)?
            .is_some()
        {
            // Taken, whatever is in it: the page stays where it is if that is wrong.
            let taken = self.chain.take(&entry, self.taken as u16)?;
            let slot = self.slot(self.taken);
            self.taken = self.taken.wrapping_add(1);
            let page = self.pages.get_mut(slot).and_then(Option::take);
            let Some(page) = page else {
                continue;
            };
            let end = self.length + taken.length;
            if self.buffer.len() < end && self.buffer.try_reserve(end - self.buffer.len()).is_ok() {
                self.buffer.resize(end, 0);
            }
            let bytes = self.buffer.get_mut(self.length..end);
            let kept = bytes.is_some();
            if let Some(bytes) = bytes {
                page.read(taken.offset, bytes);
            }
            self.length = end;
            self.offer(page);
            match taken.packet {
                Some(mut packet) => {
                    packet.refused |= !kept;
                    let length = core::mem::take(&mut self.length);
                    return Ok(Found::Packet(packet, length));
                }
                None if !kept => self.chain.refuse(),
                None => {}
            }
        }
        Ok(Found::Nothing)
    }

    /// Swaps the bytes of the packet that was found with those of the one before it.
    pub(crate) fn swap(&mut self, frame: &mut Vec<u8>) {
        core::mem::swap(&mut self.buffer, frame);
    }

    /// The bytes of the packet that was found.
    pub(crate) fn bytes(&mut self, length: usize) -> &mut [u8] {
        self.buffer.get_mut(..length).unwrap_or_default()
    }

    /// The last look before sleeping: says whether there are answers.
    pub(crate) fn final_check(&mut self) -> Result<bool, Misbehaviour> {
        self.ring.final_check().map_err(Misbehaviour::Ring)
    }
}
