//! What else is to be known of a packet (`struct netif_extra_info`).

use super::ADDRESS_SIZE;

/// The packet is to be cut into segments.
pub const TYPE_GSO: u8 = 1;
/// The frontend wants to receive a multicast address.
pub const TYPE_MCAST_ADD: u8 = 2;
/// It does not want to any more.
pub const TYPE_MCAST_DEL: u8 = 3;
/// The packet's hash.
pub const TYPE_HASH: u8 = 4;

/// Bit of an extra's flags: another one follows.
pub const FLAG_MORE: u8 = 1;

/// The segments are of TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// The segments are of TCP over IPv6.
pub const GSO_TCPV6: u8 = 2;

/// One slot of extra information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// The packet is to be cut into segments.
    Gso {
        /// Bytes of payload in each.
        size: u16,
        /// What they are: [`GSO_TCPV4`] or [`GSO_TCPV6`].
        kind: u8,
    },
    /// A multicast address is to be received from now on, or not any more.
    Multicast {
        /// It is.
        add: bool,
        /// The address.
        address: [u8; ADDRESS_SIZE],
    },
    /// The packet's hash.
    Hash,
    /// A type without meaning.
    Unknown(u8),
}

impl Extra {
    /// Bytes of an extra, whatever the ring's entries are.
    pub const SIZE: usize = 8;

    /// The extra's bytes; bytes that it does not use become zero. `more` says that another one
    /// follows.
    #[must_use]
    pub fn encode(&self, more: bool) -> [u8; Self::SIZE] {
        let flags = if more { FLAG_MORE } else { 0 };
        match *self {
            Self::Gso { size, kind } => {
                let [s0, s1] = size.to_le_bytes();
                [TYPE_GSO, flags, s0, s1, kind, 0, 0, 0]
            }
            Self::Multicast { add, address } => {
                let kind = if add { TYPE_MCAST_ADD } else { TYPE_MCAST_DEL };
                let [a0, a1, a2, a3, a4, a5] = address;
                [kind, flags, a0, a1, a2, a3, a4, a5]
            }
            Self::Hash => [TYPE_HASH, flags, 0, 0, 0, 0, 0, 0],
            Self::Unknown(kind) => [kind, flags, 0, 0, 0, 0, 0, 0],
        }
    }

    /// Takes an extra apart; also says whether another one follows. Sizes and kinds of segments are
    /// the peer's word.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::SIZE]) -> (Self, bool) {
        let [kind, flags, a0, a1, a2, a3, a4, a5] = *bytes;
        let extra = match kind {
            TYPE_GSO => Self::Gso {
                size: u16::from_le_bytes([a0, a1]),
                kind: a2,
            },
            TYPE_MCAST_ADD | TYPE_MCAST_DEL => Self::Multicast {
                add: kind == TYPE_MCAST_ADD,
                address: [a0, a1, a2, a3, a4, a5],
            },
            TYPE_HASH => Self::Hash,
            kind => Self::Unknown(kind),
        };
        (extra, flags & FLAG_MORE != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_survives_encoding() {
        let extras = [
            Extra::Gso {
                size: 1448,
                kind: GSO_TCPV6,
            },
            Extra::Multicast {
                add: true,
                address: [1, 0, 0x5e, 0, 0, 251],
            },
            Extra::Multicast {
                add: false,
                address: [0x33, 0x33, 0, 0, 0, 1],
            },
            Extra::Hash,
            Extra::Unknown(9),
        ];
        for extra in extras {
            for more in [false, true] {
                assert_eq!(Extra::decode(&extra.encode(more)), (extra, more));
            }
        }
    }
}
