//! The ring of packets to be sent.

use alloc::vec::Vec;

use hv::{Hypervisor, PAGE_SIZE};
use pv::Granted;
use ring::FrontRing;
use xen_abi::io::netif::{
    Extra, RSP_DROPPED, RSP_OKAY, SLOTS_MIN, TX_CSUM_BLANK, TX_DATA_VALIDATED, TX_ENTRY_SIZE,
    TX_EXTRA_INFO, TX_MORE_DATA, TxRequest, TxResponse, extra,
};

use crate::counters::Traffic;
use crate::flight::{self, Flight};
use crate::misbehaviour::Misbehaviour;
use crate::offload::Work;
use crate::pool::{Pool, Room};

/// The ring, and what was put into it.
pub(crate) struct Transmitter<H: Hypervisor> {
    ring: FrontRing<Granted<H>>,
    flight: Flight,
    /// The pages of packets on their way, by their first slot.
    rooms: Vec<Option<Room<H>>>,
}

impl<H: Hypervisor> Transmitter<H> {
    pub(crate) fn new(page: Granted<H>) -> Self {
        let ring = FrontRing::init(page, TX_ENTRY_SIZE);
        let capacity = ring.capacity();
        Self {
            ring,
            flight: Flight::new(capacity),
            rooms: (0..capacity).map(|_| None).collect(),
        }
    }

    pub(crate) fn page(&self) -> &Granted<H> {
        self.ring.memory()
    }

    /// Takes the answers there are; what is answered may be used again. Says whether there were
    /// any.
    pub(crate) fn take_answers(
        &mut self,
        pool: &mut Pool<H>,
        sent: &mut Traffic,
    ) -> Result<bool, Misbehaviour> {
        let mut entry = [0; TxResponse::SIZE];
        let mut any = false;
        // No more than there are slots on the ring: each look is at most that many.
        for _ in 0..self.ring.capacity() {
            if self
                .ring
                .take(&mut entry)
                .map_err(Misbehaviour::Ring)?
                .is_none()
            {
                break;
            }
            any = true;
            let Some(answered) = self.flight.answer(TxResponse::decode(&entry))? else {
                continue;
            };
            let room = self.rooms.get_mut(usize::from(answered.first));
            let Some(room) = room.and_then(Option::take) else {
                // It was no packet, but a multicast address.
                continue;
            };
            pool.give(room);
            match answered.status {
                RSP_OKAY => {}
                RSP_DROPPED => sent.drops += 1,
                _ => sent.errors += 1,
            }
        }
        Ok(any)
    }

    /// Whether a packet of any length finds slots.
    pub(crate) fn has_slots(&self) -> bool {
        self.ring.free() as usize >= SLOTS_MIN && self.flight.free() >= SLOTS_MIN
    }

    /// Asks for an event when some of what is outstanding is answered, which says so if it is
    /// already.
    pub(crate) fn await_answers(&mut self) -> Result<bool, Misbehaviour> {
        let outstanding = self.ring.outstanding();
        if outstanding == 0 {
            return Ok(false);
        }
        let wanted = outstanding.div_ceil(2);
        self.ring
            .final_check_for(wanted)
            .map_err(Misbehaviour::Ring)
    }

    /// Puts a packet of `length` bytes on the ring; gives `room` back if it finds no slots there.
    pub(crate) fn send(&mut self, room: Room<H>, length: u16, work: Work) -> Result<(), Room<H>> {
        let pages = usize::from(length).div_ceil(PAGE_SIZE);
        if pages == 0 || !self.has_slots() {
            return Err(room);
        }
        let mut flags = 0;
        if work.blank {
            flags |= TX_CSUM_BLANK | TX_DATA_VALIDATED;
        }
        if work.segments.is_some() {
            flags |= TX_EXTRA_INFO;
        }
        let mut first = None;
        let mut left = usize::from(length);
        for (page, reference) in room.references().take(pages).enumerate() {
            let Some(id) = self.flight.take(first) else {
                // There were slots enough.
                break;
            };
            first.get_or_insert(flight::index(id));
            let part = left.min(PAGE_SIZE);
            left -= part;
            let request = TxRequest {
                gref: reference.0,
                offset: 0,
                flags: flags | if left == 0 { 0 } else { TX_MORE_DATA },
                id,
                // The first says the length of all.
                size: if page == 0 { length } else { part as u16 },
            };
            let _pushed = self.ring.push(&request.encode());
            if page == 0
                && let Some(segments) = work.segments
            {
                let kind = if segments.v6 {
                    extra::GSO_TCPV6
                } else {
                    extra::GSO_TCPV4
                };
                self.push_extra(Extra::Gso {
                    size: segments.size,
                    kind,
                });
            }
            flags = 0;
        }
        let place = first.and_then(|first| self.rooms.get_mut(usize::from(first)));
        if let Some(place) = place {
            *place = Some(room);
        }
        Ok(())
    }

    fn push_extra(&mut self, extra: Extra) {
        self.flight.take_extra();
        let _pushed = self.ring.push(&extra.encode(false));
    }

    /// Asks the backend to send a multicast address, or not to any more; says whether there was
    /// room to ask.
    pub(crate) fn ask(&mut self, add: bool, address: [u8; 6]) -> bool {
        if !self.has_slots() {
            return false;
        }
        let Some(id) = self.flight.take(None) else {
            return false;
        };
        let request = TxRequest {
            flags: TX_EXTRA_INFO,
            id,
            ..TxRequest::default()
        };
        let _pushed = self.ring.push(&request.encode());
        self.push_extra(Extra::Multicast { add, address });
        true
    }

    /// Shows the backend what was put on the ring; says whether it must be told.
    pub(crate) fn publish(&mut self) -> bool {
        self.ring.publish()
    }

    /// The pages of packets that are not answered.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &Room<H>> {
        self.rooms.iter().flatten()
    }
}
