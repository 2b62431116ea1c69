//! Requests as they lie in the ring (io/blkif.h, 64-bit layout).

use hv::GrantRef;

/// Bytes of a ring entry.
pub const ENTRY: usize = 112;
/// `BLKIF_OP_READ`.
pub const READ: u8 = 0;
/// `BLKIF_OP_WRITE`.
pub const WRITE: u8 = 1;
/// `BLKIF_OP_WRITE_BARRIER`.
pub const WRITE_BARRIER: u8 = 2;
/// `BLKIF_OP_FLUSH_DISKCACHE`.
pub const FLUSH: u8 = 3;
/// `BLKIF_OP_DISCARD`.
pub const DISCARD: u8 = 5;
/// `BLKIF_OP_INDIRECT`.
pub const INDIRECT: u8 = 6;
/// `BLKIF_RSP_OKAY`.
pub const OKAY: i16 = 0;
/// `BLKIF_RSP_ERROR`.
pub const ERROR: i16 = -1;
/// `BLKIF_RSP_EOPNOTSUPP`.
pub const EOPNOTSUPP: i16 = -2;
/// Segments of a direct request.
pub const DIRECT_SEGMENTS: usize = 11;
/// Segments whose descriptors fill one page.
pub const SEGMENTS_PER_PAGE: usize = 512;
/// Bytes of a segment's descriptor.
pub const SEGMENT: usize = 8;

/// One page of a request's data, in units of 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The page.
    pub page: GrantRef,
    /// The first sector of it.
    pub first: u8,
    /// The last sector of it.
    pub last: u8,
}

impl Segment {
    /// From a descriptor's 8 bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        Self {
            page: GrantRef(u32_at(bytes, 0)),
            first: bytes[4],
            last: bytes[5],
        }
    }

    /// Bytes it moves; `None` if it does not lie in its page.
    #[must_use]
    pub fn length(&self) -> Option<usize> {
        (self.first <= self.last && self.last <= 7)
            .then(|| (usize::from(self.last - self.first) + 1) * 512)
    }
}

/// Where a request's segments are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segments {
    /// In the request.
    Direct(Vec<Segment>),
    /// In pages of their own: how many there are, and the pages.
    Indirect(usize, Vec<GrantRef>),
}

/// A request, copied out of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The operation in the entry, which the response must repeat.
    pub entry_operation: u8,
    /// What is to be done: for an indirect entry, the operation inside.
    pub operation: u8,
    /// The frontend's name for it.
    pub id: u64,
    /// The first sector on the disk, in units of 512 bytes.
    pub sector: u64,
    /// How many sectors a discard covers.
    pub discard_sectors: u64,
    /// Whether it is to destroy their content (`BLKIF_DISCARD_SECURE`).
    pub secure: bool,
    /// The data.
    pub segments: Segments,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Request {
    /// From a ring entry; `None` if it has more segments than fit there.
    #[must_use]
    pub fn decode(entry: &[u8; ENTRY]) -> Option<Self> {
        let operation = entry[0];
        let mut request = Self {
            entry_operation: operation,
            operation,
            id: u64_at(entry, 8),
            sector: u64_at(entry, 16),
            discard_sectors: 0,
            secure: false,
            segments: Segments::Direct(Vec::new()),
        };
        match operation {
            DISCARD => {
                request.discard_sectors = u64_at(entry, 24);
                request.secure = entry[1] & 1 != 0;
            }
            INDIRECT => {
                request.operation = entry[1];
                let count = usize::from(u16::from_le_bytes([entry[2], entry[3]]));
                let pages = count.div_ceil(SEGMENTS_PER_PAGE);
                if pages > 8 {
                    return None;
                }
                let pages = (0..pages).map(|page| GrantRef(u32_at(entry, 28 + page * 4)));
                request.segments = Segments::Indirect(count, pages.collect());
            }
            _ => {
                let count = usize::from(entry[1]);
                if count > DIRECT_SEGMENTS {
                    return None;
                }
                let segment = |index: usize| Segment::decode(&entry[24 + index * SEGMENT..]);
                request.segments = Segments::Direct((0..count).map(segment).collect());
            }
        }
        Some(request)
    }
}

/// A response's bytes, padding zero.
#[must_use]
pub fn encode_response(id: u64, operation: u8, status: i16) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    bytes[8] = operation;
    bytes[10..12].copy_from_slice(&status.to_le_bytes());
    bytes
}
