//! Where the frontend receives (`struct netif_rx_request`), and what it received
//! (`struct netif_rx_response`). A response lies in the slot of the request it answers.

use super::RX_ENTRY_SIZE;

/// A page to receive into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxRequest {
    /// The frontend's own name for the slot, echoed in the response.
    pub id: u16,
    /// The page's grant reference.
    pub gref: u32,
}

impl RxRequest {
    /// The request's bytes; padding is zero.
    #[must_use]
    pub fn encode(&self) -> [u8; RX_ENTRY_SIZE] {
        let [i0, i1] = self.id.to_le_bytes();
        let [g0, g1, g2, g3] = self.gref.to_le_bytes();
        [i0, i1, 0, 0, g0, g1, g2, g3]
    }

    /// Takes a request apart. Nothing is checked.
    #[must_use]
    pub fn decode(bytes: &[u8; RX_ENTRY_SIZE]) -> Self {
        let [i0, i1, _, _, g0, g1, g2, g3] = *bytes;
        Self {
            id: u16::from_le_bytes([i0, i1]),
            gref: u32::from_le_bytes([g0, g1, g2, g3]),
        }
    }
}

/// A part of a packet that was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxResponse {
    /// The request's id.
    pub id: u16,
    /// Where in the page the part begins.
    pub offset: u16,
    /// Bits `RX_*`.
    pub flags: u16,
    /// The part's length; one of `RSP_*` if it is negative.
    pub status: i16,
}

impl RxResponse {
    /// The response's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; RX_ENTRY_SIZE] {
        let [i0, i1] = self.id.to_le_bytes();
        let [o0, o1] = self.offset.to_le_bytes();
        let [f0, f1] = self.flags.to_le_bytes();
        let [s0, s1] = self.status.to_le_bytes();
        [i0, i1, o0, o1, f0, f1, s0, s1]
    }

    /// Takes a response apart. Nothing is checked.
    #[must_use]
    pub fn decode(bytes: &[u8; RX_ENTRY_SIZE]) -> Self {
        let [i0, i1, o0, o1, f0, f1, s0, s1] = *bytes;
        Self {
            id: u16::from_le_bytes([i0, i1]),
            offset: u16::from_le_bytes([o0, o1]),
            flags: u16::from_le_bytes([f0, f1]),
            status: i16::from_le_bytes([s0, s1]),
        }
    }
}
