//! Packets between backends and the switch: bytes, and what Linux's `skb` knows of them.

use super::checksum;

/// What is known of a packet's checksum (`ip_summed`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing: it is to be checked.
    #[default]
    Unknown,
    /// It is right.
    Validated,
    /// It is still to be made: the field holds the sum of the pseudo header.
    Blank,
}

/// How a packet is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// The most bytes of data of a segment.
    pub size: u16,
    /// `XEN_NETIF_GSO_TYPE_*`.
    pub kind: u8,
}

/// An Ethernet frame without its check sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// All of it.
    pub bytes: Vec<u8>,
    /// What is known of its checksum.
    pub checksum: Checksum,
    /// Into what it is to be cut, if it is.
    pub gso: Option<Gso>,
}

impl Packet {
    /// A frame as it comes from a wire.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            checksum: Checksum::Unknown,
            gso: None,
        }
    }

    /// Where it goes.
    #[must_use]
    pub fn destination(&self) -> [u8; 6] {
        self.bytes[..6].try_into().expect("six bytes")
    }

    /// Where it comes from.
    #[must_use]
    pub fn source(&self) -> [u8; 6] {
        self.bytes[6..12].try_into().expect("six bytes")
    }

    /// The same with its checksum made, if it is not.
    ///
    /// # Errors
    /// Why there is none to be made.
    pub fn completed(mut self) -> Result<Self, String> {
        if self.checksum == Checksum::Blank {
            checksum::complete(&mut self.bytes)?;
            self.checksum = Checksum::Validated;
        }
        Ok(self)
    }

    /// What it would be on a wire: cut, and with checksums.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn on_wire(self) -> Result<Vec<Vec<u8>>, String> {
        let Some(gso) = self.gso else {
            return Ok(vec![self.completed()?.bytes]);
        };
        let cut = super::segment::cut(&self.bytes, usize::from(gso.size))?;
        Ok(cut)
    }

    /// A number that is the same for all packets of one connection in one direction.
    #[must_use]
    pub fn flow(&self) -> u64 {
        let Ok(place) = checksum::transport(&self.bytes) else {
            return 0;
        };
        let end = (place.at + 4).min(self.bytes.len());
        let ports = &self.bytes[place.at..end];
        let addresses = &self.bytes[place.addresses.clone()];
        let both = addresses.iter().chain(ports);
        both.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}
