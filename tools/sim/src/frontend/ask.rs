//! Requests as a frontend puts them into the ring, and the answers there, in both layouts of
//! io/blkif.h.

use hv::GrantRef;

use crate::blkback::request::{DISCARD, INDIRECT, SEGMENT, Segment};

/// The layout of ring entries, as the frontend's key `protocol` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abi {
    /// `x86_64-abi`.
    X86_64,
    /// `x86_32-abi`: 64-bit words are aligned to 4 bytes only.
    X86_32,
}

impl Abi {
    /// The value of `protocol`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-abi",
            Self::X86_32 => "x86_32-abi",
        }
    }

    /// Bytes of a ring entry.
    #[must_use]
    pub fn entry(self) -> usize {
        match self {
            Self::X86_64 => 112,
            Self::X86_32 => 108,
        }
    }

    /// Bytes of an answer.
    #[must_use]
    pub fn answer(self) -> usize {
        match self {
            Self::X86_64 => 16,
            Self::X86_32 => 12,
        }
    }

    /// Where a request's id is; all that follows is at the same distance from it in both.
    fn id(self) -> usize {
        match self {
            Self::X86_64 => 8,
            Self::X86_32 => 4,
        }
    }
}

/// A request, honest or not: no field is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// With its segments in the entry.
    Direct {
        /// What to do.
        operation: u8,
        /// Its name.
        id: u64,
        /// The first sector.
        sector: u64,
        /// The segments; more than 11 do not fit and are left out.
        segments: Vec<Segment>,
        /// How many segments the entry claims.
        count: u8,
    },
    /// With its segments in pages of their own.
    Indirect {
        /// What to do.
        operation: u8,
        /// Its name.
        id: u64,
        /// The first sector.
        sector: u64,
        /// How many segments there are.
        count: u16,
        /// The pages that list them.
        lists: Vec<GrantRef>,
    },
    /// A discard.
    Discard {
        /// `BLKIF_DISCARD_SECURE`.
        flag: u8,
        /// Its name.
        id: u64,
        /// The first sector.
        sector: u64,
        /// How many sectors.
        sectors: u64,
    },
    /// An entry's bytes.
    Raw(Vec<u8>),
}

impl Ask {
    /// An honest direct request.
    ///
    /// # Panics
    /// If there are more than 255 segments.
    #[must_use]
    pub fn new(operation: u8, id: u64, sector: u64, segments: &[Segment]) -> Self {
        Self::Direct {
            operation,
            id,
            sector,
            segments: segments.to_vec(),
            count: u8::try_from(segments.len()).expect("a few segments"),
        }
    }

    /// An indirect request from sector 0 on, with one list.
    #[must_use]
    pub fn indirect(operation: u8, count: u16, list: GrantRef) -> Self {
        Self::Indirect {
            operation,
            id: 0x1d,
            sector: 0,
            count,
            lists: vec![list],
        }
    }

    /// A discard that need not be secure.
    #[must_use]
    pub fn discard(sector: u64, sectors: u64) -> Self {
        Self::Discard {
            flag: 0,
            id: 0xd15,
            sector,
            sectors,
        }
    }

    /// The request's name, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        match self {
            Self::Direct { id, .. } | Self::Indirect { id, .. } | Self::Discard { id, .. } => {
                Some(*id)
            }
            Self::Raw(_) => None,
        }
    }

    /// The ring entry.
    #[must_use]
    pub fn encode(&self, abi: Abi) -> Vec<u8> {
        let mut entry = vec![0; abi.entry()];
        let at = abi.id();
        let mut put = |offset: usize, bytes: &[u8]| {
            entry[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        match self {
            Self::Direct {
                operation,
                id,
                sector,
                segments,
                count,
            } => {
                put(0, &[*operation, *count]);
                put(at, &id.to_le_bytes());
                put(at + 8, &sector.to_le_bytes());
                for (index, segment) in segments.iter().take(11).enumerate() {
                    put(at + 16 + index * SEGMENT, &describe(segment));
                }
            }
            Self::Indirect {
                operation,
                id,
                sector,
                count,
                lists,
            } => {
                put(0, &[INDIRECT, *operation]);
                put(2, &count.to_le_bytes());
                put(at, &id.to_le_bytes());
                put(at + 8, &sector.to_le_bytes());
                for (index, list) in lists.iter().take(8).enumerate() {
                    put(at + 20 + index * 4, &list.0.to_le_bytes());
                }
            }
            Self::Discard {
                flag,
                id,
                sector,
                sectors,
            } => {
                put(0, &[DISCARD, *flag]);
                put(at, &id.to_le_bytes());
                put(at + 8, &sector.to_le_bytes());
                put(at + 16, &sectors.to_le_bytes());
            }
            Self::Raw(bytes) => put(0, bytes),
        }
        entry
    }
}

/// A segment's 8 bytes.
#[must_use]
pub fn describe(segment: &Segment) -> [u8; SEGMENT] {
    let mut bytes = [0; SEGMENT];
    bytes[..4].copy_from_slice(&segment.page.0.to_le_bytes());
    bytes[4..6].copy_from_slice(&[segment.first, segment.last]);
    bytes
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's name.
    pub id: u64,
    /// The request's operation.
    pub operation: u8,
    /// What came of it.
    pub status: i16,
    /// The first 16 bytes of the slot.
    pub bytes: [u8; 16],
}

impl Answer {
    pub(super) fn decode(bytes: [u8; 16]) -> Self {
        let mut id = [0; 8];
        id.copy_from_slice(&bytes[..8]);
        Self {
            id: u64::from_le_bytes(id),
            operation: bytes[8],
            status: i16::from_le_bytes([bytes[10], bytes[11]]),
            bytes,
        }
    }
}
