//! `io/netif.h`: network devices. Two rings: one for what the frontend sends, one for what it
//! receives.
//!
//! A packet lies in one or more slots. Where its first slot says so, the slot behind it holds extra
//! information instead, in the ring's own entry size.
//!
//! - [`transmit`]: what the frontend sends, and what became of it
//! - [`receive`]: where the frontend receives, and what it received
//! - [`extra`]: what else is to be known of a packet

pub mod extra;
pub mod receive;
pub mod transmit;

pub use extra::Extra;
pub use receive::{RxRequest, RxResponse};
pub use transmit::{TxRequest, TxResponse};

/// Bytes of a transmit ring's entry.
pub const TX_ENTRY_SIZE: usize = 12;
/// Bytes of a receive ring's entry.
pub const RX_ENTRY_SIZE: usize = 8;

/// Bit of a transmit request's flags: the checksum field holds the pseudo-header's sum only.
pub const TX_CSUM_BLANK: u16 = 1;
/// Bit of a transmit request's flags: the checksum is known to be good.
pub const TX_DATA_VALIDATED: u16 = 2;
/// Bit of a transmit request's flags: the packet goes on in the next slot.
pub const TX_MORE_DATA: u16 = 4;
/// Bit of a transmit request's flags: extra information follows.
pub const TX_EXTRA_INFO: u16 = 8;

/// Bit of a receive response's flags: the checksum is known to be good.
pub const RX_DATA_VALIDATED: u16 = 1;
/// Bit of a receive response's flags: the checksum field holds the pseudo-header's sum only.
pub const RX_CSUM_BLANK: u16 = 2;
/// Bit of a receive response's flags: the packet goes on in the next slot.
pub const RX_MORE_DATA: u16 = 4;
/// Bit of a receive response's flags: extra information follows.
pub const RX_EXTRA_INFO: u16 = 8;
/// Bit of a receive response's flags: no data, but the segment size of the next packet (an older
/// way, only for a frontend that asked for it).
pub const RX_GSO_PREFIX: u16 = 16;

/// The longest packet that can be sent, with its Ethernet header.
pub const MAX_TX_SIZE: usize = 0xffff;
/// Slots that every peer takes a packet in (`XEN_NETIF_NR_SLOTS_MIN`).
pub const SLOTS_MIN: usize = 18;

/// The packet was sent, or the multicast address was noted.
pub const RSP_OKAY: i16 = 0;
/// It could not be.
pub const RSP_ERROR: i16 = -1;
/// It was dropped.
pub const RSP_DROPPED: i16 = -2;
/// The answer to a slot of extra information: nothing.
pub const RSP_NULL: i16 = 1;

/// Bytes of an Ethernet address.
pub const ADDRESS_SIZE: usize = 6;
