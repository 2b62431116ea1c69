//! The slots of a received packet, put together one by one.
//!
//! A packet may arrive in any number of pieces and still be one: what is known of it so far is kept
//! until its last slot has come.

use hv::PAGE_SIZE;
use xen_abi::io::netif::{
    Extra, RX_CSUM_BLANK, RX_DATA_VALIDATED, RX_ENTRY_SIZE, RX_EXTRA_INFO, RX_GSO_PREFIX,
    RX_MORE_DATA, RxResponse, SLOTS_MIN, extra,
};

use crate::misbehaviour::Misbehaviour;

/// A packet has at most one extra of each type.
const MOST_EXTRAS: usize = 4;

/// What is known of a packet that has begun; of none if it has no slots.
#[derive(Default)]
pub(crate) struct Chain {
    slots: usize,
    extras: usize,
    /// The next slot is an extra.
    in_extras: bool,
    /// Flags of the last slot with data.
    more: bool,
    packet: Packet,
}

/// A whole packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packet {
    /// A part of it could not be delivered.
    pub(crate) refused: bool,
    /// Its checksum is still to be made.
    pub(crate) blank: bool,
    /// Its checksum is known to be good, or never left the machine.
    pub(crate) validated: bool,
}

/// What a slot is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Where the slot's bytes lie in its page, and how many there are.
    pub(crate) offset: usize,
    pub(crate) length: usize,
    /// The packet, if it ends here.
    pub(crate) packet: Option<Packet>,
}

impl Chain {
    /// Takes the next slot: the one with the id `due`.
    pub(crate) fn take(
        &mut self,
        entry: &[u8; RX_ENTRY_SIZE],
        due: u16,
    ) -> Result<Slot, Misbehaviour> {
        let mut slot = Slot::default();
        if self.in_extras {
            self.take_extra(entry)?;
        } else {
            (slot.offset, slot.length) = self.take_data(&RxResponse::decode(entry), due)?;
        }
        if !self.in_extras && !self.more {
            slot.packet = Some(self.packet);
            *self = Self::default();
        }
        Ok(slot)
    }

    /// The packet that has begun cannot be kept.
    pub(crate) fn refuse(&mut self) {
        self.packet.refused = true;
    }

    fn take_data(
        &mut self,
        response: &RxResponse,
        due: u16,
    ) -> Result<(usize, usize), Misbehaviour> {
        let RxResponse {
            id,
            offset,
            flags,
            status,
        } = *response;
        if id != due {
            return Err(Misbehaviour::ReceiveId { due, answered: id });
        }
        if flags & RX_GSO_PREFIX != 0 {
            return Err(Misbehaviour::Prefix);
        }
        if self.slots == SLOTS_MIN {
            return Err(Misbehaviour::LongChain);
        }
        if self.slots == 0 {
            self.in_extras = flags & RX_EXTRA_INFO != 0;
            self.packet.blank = flags & RX_CSUM_BLANK != 0;
            self.packet.validated = flags & RX_DATA_VALIDATED != 0;
        }
        self.slots += 1;
        self.more = flags & RX_MORE_DATA != 0;
        let Ok(length) = usize::try_from(status) else {
            self.packet.refused = true;
            return Ok((0, 0));
        };
        if usize::from(offset) + length > PAGE_SIZE {
            return Err(Misbehaviour::Range {
                offset,
                length: status,
            });
        }
        Ok((usize::from(offset), length))
    }

    fn take_extra(&mut self, entry: &[u8; RX_ENTRY_SIZE]) -> Result<(), Misbehaviour> {
        if self.extras == MOST_EXTRAS {
            return Err(Misbehaviour::ManyExtras);
        }
        self.extras += 1;
        let (extra, more) = Extra::decode(entry);
        self.in_extras = more;
        match extra {
            Extra::Gso { size, kind } => {
                if size == 0 || !matches!(kind, extra::GSO_TCPV4 | extra::GSO_TCPV6) {
                    return Err(Misbehaviour::Segments { size, kind });
                }
                // The segments have checksums, made when they are cut; the whole has none.
                self.packet.validated = true;
            }
            Extra::Hash => {}
            Extra::Multicast { add, .. } => {
                return Err(Misbehaviour::UnknownExtra(if add {
                    extra::TYPE_MCAST_ADD
                } else {
                    extra::TYPE_MCAST_DEL
                }));
            }
            Extra::Unknown(kind) => return Err(Misbehaviour::UnknownExtra(kind)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
