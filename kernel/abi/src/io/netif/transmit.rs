//! What the frontend sends (`struct netif_tx_request`), and what became of it
//! (`struct netif_tx_response`).

use super::TX_ENTRY_SIZE;

/// A part of a packet to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxRequest {
    /// The page's grant reference.
    pub gref: u32,
    /// Where in the page it begins.
    pub offset: u16,
    /// Bits `TX_*`.
    pub flags: u16,
    /// The frontend's own name for the slot, echoed in the response.
    pub id: u16,
    /// In a packet's first slot the length of the whole packet, in the others that of the part.
    pub size: u16,
}

impl TxRequest {
    /// The request's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; TX_ENTRY_SIZE] {
        let [g0, g1, g2, g3] = self.gref.to_le_bytes();
        let [o0, o1] = self.offset.to_le_bytes();
        let [f0, f1] = self.flags.to_le_bytes();
        let [i0, i1] = self.id.to_le_bytes();
        let [s0, s1] = self.size.to_le_bytes();
        [g0, g1, g2, g3, o0, o1, f0, f1, i0, i1, s0, s1]
    }

    /// Takes a request apart. Nothing is checked.
    #[must_use]
    pub fn decode(bytes: &[u8; TX_ENTRY_SIZE]) -> Self {
        let [g0, g1, g2, g3, o0, o1, f0, f1, i0, i1, s0, s1] = *bytes;
        Self {
            gref: u32::from_le_bytes([g0, g1, g2, g3]),
            offset: u16::from_le_bytes([o0, o1]),
            flags: u16::from_le_bytes([f0, f1]),
            id: u16::from_le_bytes([i0, i1]),
            size: u16::from_le_bytes([s0, s1]),
        }
    }
}

/// What became of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxResponse {
    /// The request's id; nothing if the status is [`RSP_NULL`](super::RSP_NULL).
    pub id: u16,
    /// One of `RSP_*`.
    pub status: i16,
}

impl TxResponse {
    /// Bytes of a response.
    pub const SIZE: usize = 4;

    /// The response's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let [i0, i1] = self.id.to_le_bytes();
        let [s0, s1] = self.status.to_le_bytes();
        [i0, i1, s0, s1]
    }

    /// Takes a response apart. Nothing is checked.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        let [i0, i1, s0, s1] = *bytes;
        Self {
            id: u16::from_le_bytes([i0, i1]),
            status: i16::from_le_bytes([s0, s1]),
        }
    }
}
