//! Entries of both rings (io/netif.h).

use hv::GrantRef;

use crate::layout::netif as at;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// A piece of a packet that a frontend sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxRequest {
    /// The page it lies in.
    pub page: GrantRef,
    /// Where it starts there.
    pub offset: u16,
    /// `NETTXF_*`.
    pub flags: u16,
    /// The frontend's name for it.
    pub id: u16,
    /// In the first entry of a packet the length of all of it, in the others their own.
    pub size: u16,
}

impl TxRequest {
    /// From an entry's bytes.
    #[must_use]
    pub fn decode(entry: &[u8]) -> Self {
        Self {
            page: GrantRef(u32_at(entry, 0)),
            offset: u16_at(entry, 4),
            flags: u16_at(entry, 6),
            id: u16_at(entry, 8),
            size: u16_at(entry, 10),
        }
    }

    /// An entry's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; at::TX_ENTRY] {
        let mut entry = [0; at::TX_ENTRY];
        entry[..4].copy_from_slice(&self.page.0.to_le_bytes());
        for (place, value) in [
            (4, self.offset),
            (6, self.flags),
            (8, self.id),
            (10, self.size),
        ] {
            entry[place..place + 2].copy_from_slice(&value.to_le_bytes());
        }
        entry
    }

    /// Whether the packet goes on after it.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.flags & at::TX_MORE_DATA != 0
    }
}

/// Something said about a packet, in an entry of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// `XEN_NETIF_EXTRA_TYPE_*`.
    pub kind: u8,
    /// `XEN_NETIF_EXTRA_FLAG_*`.
    pub flags: u8,
    /// What it says.
    pub body: [u8; 6],
}

impl Extra {
    /// That the packet is to be cut into segments with `size` bytes of data.
    #[must_use]
    pub fn gso(size: u16, kind: u8) -> Self {
        let [low, high] = size.to_le_bytes();
        Self {
            kind: at::EXTRA_GSO,
            flags: 0,
            body: [low, high, kind, 0, 0, 0],
        }
    }

    /// That a multicast address is wanted, or no more.
    #[must_use]
    pub fn multicast(wanted: bool, address: [u8; 6]) -> Self {
        let kind = match wanted {
            true => at::EXTRA_MCAST_ADD,
            false => at::EXTRA_MCAST_DEL,
        };
        Self {
            kind,
            flags: 0,
            body: address,
        }
    }

    /// The bytes of a segment's data, and what kind it is.
    #[must_use]
    pub fn segments(&self) -> (u16, u8) {
        (u16_at(&self.body, 0), self.body[2])
    }

    /// From an entry's bytes.
    #[must_use]
    pub fn decode(entry: &[u8]) -> Self {
        Self {
            kind: entry[0],
            flags: entry[1],
            body: entry[2..8].try_into().expect("six bytes"),
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; at::EXTRA] {
        let mut bytes = [0; at::EXTRA];
        bytes[0] = self.kind;
        bytes[1] = self.flags;
        bytes[2..].copy_from_slice(&self.body);
        bytes
    }

    /// Whether another one follows.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.flags & at::EXTRA_MORE != 0
    }
}

/// A transmit response's bytes.
#[must_use]
pub fn tx_response(id: u16, status: i16) -> [u8; at::TX_RESPONSE] {
    let ([a, b], [c, d]) = (id.to_le_bytes(), status.to_le_bytes());
    [a, b, c, d]
}

/// A page that a frontend posts to receive into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxRequest {
    /// The frontend's name for it.
    pub id: u16,
    /// The page.
    pub page: GrantRef,
}

impl RxRequest {
    /// From an entry's bytes.
    #[must_use]
    pub fn decode(entry: &[u8]) -> Self {
        Self {
            id: u16_at(entry, 0),
            page: GrantRef(u32_at(entry, 4)),
        }
    }

    /// An entry's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; at::RX_ENTRY] {
        let mut entry = [0; at::RX_ENTRY];
        entry[..2].copy_from_slice(&self.id.to_le_bytes());
        entry[4..].copy_from_slice(&self.page.0.to_le_bytes());
        entry
    }
}

/// A piece of a packet that a frontend receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxResponse {
    /// The name of the page it lies in.
    pub id: u16,
    /// Where it starts there.
    pub offset: u16,
    /// `NETRXF_*`.
    pub flags: u16,
    /// Its length, or an error.
    pub status: i16,
}

impl RxResponse {
    /// From an entry's bytes.
    #[must_use]
    pub fn decode(entry: &[u8]) -> Self {
        Self {
            id: u16_at(entry, 0),
            offset: u16_at(entry, 2),
            flags: u16_at(entry, 4),
            status: u16_at(entry, 6).cast_signed(),
        }
    }

    /// An entry's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; at::RX_ENTRY] {
        let mut entry = [0; at::RX_ENTRY];
        entry[..2].copy_from_slice(&self.id.to_le_bytes());
        entry[2..4].copy_from_slice(&self.offset.to_le_bytes());
        entry[4..6].copy_from_slice(&self.flags.to_le_bytes());
        entry[6..].copy_from_slice(&self.status.to_le_bytes());
        entry
    }
}
