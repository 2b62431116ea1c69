//! The slots of packets on their way to the backend.
//!
//! A slot's id holds its index in the low bits, and above them a number that changes with each use:
//! so an answer given twice is recognised even when the slot is in use again. A packet is known by
//! the index of its first slot, which is not used again before the whole packet is answered.

use alloc::vec::Vec;

use xen_abi::io::netif::{RSP_DROPPED, RSP_ERROR, RSP_NULL, RSP_OKAY, TxResponse};

use crate::misbehaviour::Misbehaviour;

/// Slots on their way.
pub(crate) struct Flight {
    slots: Vec<Slot>,
    free: Vec<u8>,
    /// Slots of extra information without an answer. Their answers have no id.
    extras: u32,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    generation: u8,
    waiting: bool,
    /// The packet's first slot.
    first: u8,
    /// Of a first slot: how many of the packet are waiting.
    left: u8,
    /// Of a first slot: the worst of what was said of the packet.
    status: i16,
}

/// A packet that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    /// Its first slot's index.
    pub(crate) first: u8,
    pub(crate) status: i16,
}

/// The index that an id names.
pub(crate) fn index(id: u16) -> u8 {
    let [index, _] = id.to_le_bytes();
    index
}

impl Flight {
    /// No slot of `capacity`, at most 256, is on its way.
    pub(crate) fn new(capacity: u32) -> Self {
        let free: Vec<u8> = (0..=u8::MAX).take(capacity as usize).rev().collect();
        Self {
            slots: free.iter().map(|_| Slot::default()).collect(),
            free,
            extras: 0,
        }
    }

    /// How many slots can be taken.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// Takes a slot for the packet whose first slot is `first`, or for a new one; returns its id.
    pub(crate) fn take(&mut self, first: Option<u8>) -> Option<u16> {
        let index = self.free.pop()?;
        let first = first.unwrap_or(index);
        let slot = self.slots.get_mut(usize::from(index))?;
        *slot = Slot {
            generation: slot.generation.wrapping_add(1),
            waiting: true,
            first,
            left: 0,
            status: RSP_OKAY,
        };
        let id = u16::from_le_bytes([index, slot.generation]);
        if let Some(slot) = self.slots.get_mut(usize::from(first)) {
            slot.left += 1;
        }
        Some(id)
    }

    /// Notes that a slot of extra information is on its way.
    pub(crate) fn take_extra(&mut self) {
        self.extras += 1;
    }

    /// Notes an answer; returns the packet if it was the last one due.
    pub(crate) fn answer(
        &mut self,
        response: TxResponse,
    ) -> Result<Option<Answered>, Misbehaviour> {
        let TxResponse { id, status } = response;
        if status == RSP_NULL {
            self.extras = self.extras.checked_sub(1).ok_or(Misbehaviour::Null)?;
            return Ok(None);
        }
        if !matches!(status, RSP_OKAY | RSP_ERROR | RSP_DROPPED) {
            return Err(Misbehaviour::Status(status));
        }
        let [index, generation] = id.to_le_bytes();
        let slot = self.slots.get_mut(usize::from(index));
        let slot = slot
            .filter(|slot| slot.waiting && slot.generation == generation)
            .ok_or(Misbehaviour::TransmitId(id))?;
        slot.waiting = false;
        let first = slot.first;
        if first != index {
            self.free.push(index);
        }
        let Some(packet) = self.slots.get_mut(usize::from(first)) else {
            return Ok(None);
        };
        packet.left -= 1;
        packet.status = packet.status.min(status);
        let answered = Answered {
            first,
            status: packet.status,
        };
        if packet.left != 0 {
            return Ok(None);
        }
        self.free.push(first);
        Ok(Some(answered))
    }
}

#[cfg(test)]
mod tests;
