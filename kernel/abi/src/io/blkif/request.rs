//! What the frontend asks (`struct blkif_request` and its variants).

use super::{
    MAX_INDIRECT_PAGES_PER_REQUEST, MAX_SEGMENTS_PER_REQUEST, OP_DISCARD, OP_FLUSH_DISKCACHE,
    OP_INDIRECT, OP_READ, OP_WRITE, OP_WRITE_BARRIER, REQUEST_SIZE, SEGMENT_SIZE,
};

// Offsets. `id` and the sector are at the same place in all three layouts.
const OPERATION: usize = 0;
const NR_SEGMENTS: usize = 1;
const HANDLE: usize = 2;
const ID: usize = 8;
const SECTOR: usize = 16;
const SEGMENTS: usize = 24;
const DISCARD_FLAG: usize = 1;
const DISCARD_NR_SECTORS: usize = 24;
const INDIRECT_OP: usize = 1;
const INDIRECT_NR_SEGMENTS: usize = 2;
const INDIRECT_HANDLE: usize = 24;
const INDIRECT_GREFS: usize = 28;

/// A part of one granted page (`struct blkif_request_segment`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The page's grant reference.
    pub gref: u32,
    /// The first 512-byte sector of the page, 0 to 7.
    pub first_sect: u8,
    /// The last one, inclusive, `first_sect` to 7.
    pub last_sect: u8,
}

impl Segment {
    /// The segment's bytes, in a request or in an indirect page.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_SIZE] {
        let [g0, g1, g2, g3] = self.gref.to_le_bytes();
        [g0, g1, g2, g3, self.first_sect, self.last_sect, 0, 0]
    }

    /// Takes a segment apart. Nothing is checked.
    #[must_use]
    pub fn decode(bytes: &[u8; SEGMENT_SIZE]) -> Self {
        let [g0, g1, g2, g3, first_sect, last_sect, _, _] = *bytes;
        Self {
            gref: u32::from_le_bytes([g0, g1, g2, g3]),
            first_sect,
            last_sect,
        }
    }
}

/// A request with its segments in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direct {
    /// Read, write, barrier or flush.
    pub operation: u8,
    /// The virtual device's number, low 16 bits; backends ignore it.
    pub handle: u16,
    /// The frontend's own name for the request, echoed in the response.
    pub id: u64,
    /// The first 512-byte sector on the disk.
    pub sector: u64,
    segments: [Segment; MAX_SEGMENTS_PER_REQUEST],
    count: u8,
}

impl Direct {
    /// A request with these segments; `None` if there are more than
    /// [`MAX_SEGMENTS_PER_REQUEST`].
    #[must_use]
    pub fn new(
        operation: u8,
        handle: u16,
        id: u64,
        sector: u64,
        segments: &[Segment],
    ) -> Option<Self> {
        let mut list = [Segment::default(); MAX_SEGMENTS_PER_REQUEST];
        list.get_mut(..segments.len())?.copy_from_slice(segments);
        let count = u8::try_from(segments.len()).ok()?;
        Some(Self {
            operation,
            handle,
            id,
            sector,
            segments: list,
            count,
        })
    }

    /// The segments.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments[..usize::from(self.count)]
    }
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// With its segments in it; also a flush, which has none.
    Direct(Direct),
    /// With its segments in granted pages.
    Indirect {
        /// Read or write.
        operation: u8,
        /// As in [`Direct`].
        handle: u16,
        /// As in [`Direct`].
        id: u64,
        /// As in [`Direct`].
        sector: u64,
        /// How many segments the pages list.
        segments: u16,
        /// The pages' grant references; those not needed are 0.
        grefs: [u32; MAX_INDIRECT_PAGES_PER_REQUEST],
    },
    /// Forget the content of sectors.
    Discard {
        /// 0 or [`DISCARD_SECURE`](super::DISCARD_SECURE).
        flag: u8,
        /// As in [`Direct`].
        handle: u16,
        /// As in [`Direct`].
        id: u64,
        /// As in [`Direct`].
        sector: u64,
        /// How many 512-byte sectors.
        sectors: u64,
    },
}

/// A request that a backend cannot take apart; it answers with what is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// The operation has no meaning.
    Operation {
        /// The request's id.
        id: u64,
        /// What it asked for.
        operation: u8,
    },
    /// More segments than fit in a request.
    Segments {
        /// The request's id.
        id: u64,
        /// What it asked for.
        operation: u8,
        /// How many segments it claims.
        count: u8,
    },
}

impl Request {
    /// Writes the request as a ring entry; bytes it does not use become zero.
    pub fn encode(&self, entry: &mut [u8; REQUEST_SIZE]) {
        entry.fill(0);
        match *self {
            Self::Direct(ref direct) => {
                entry[OPERATION] = direct.operation;
                entry[NR_SEGMENTS] = direct.count;
                put(entry, HANDLE, &direct.handle.to_le_bytes());
                put(entry, ID, &direct.id.to_le_bytes());
                put(entry, SECTOR, &direct.sector.to_le_bytes());
                for (index, segment) in direct.segments().iter().enumerate() {
                    put(entry, SEGMENTS + index * SEGMENT_SIZE, &segment.encode());
                }
            }
            Self::Indirect {
                operation,
                handle,
                id,
                sector,
                segments,
                grefs,
            } => {
                entry[OPERATION] = OP_INDIRECT;
                entry[INDIRECT_OP] = operation;
                put(entry, INDIRECT_NR_SEGMENTS, &segments.to_le_bytes());
                put(entry, ID, &id.to_le_bytes());
                put(entry, SECTOR, &sector.to_le_bytes());
                put(entry, INDIRECT_HANDLE, &handle.to_le_bytes());
                for (index, gref) in grefs.iter().enumerate() {
                    put(entry, INDIRECT_GREFS + index * 4, &gref.to_le_bytes());
                }
            }
            Self::Discard {
                flag,
                handle,
                id,
                sector,
                sectors,
            } => {
                entry[OPERATION] = OP_DISCARD;
                entry[DISCARD_FLAG] = flag;
                put(entry, HANDLE, &handle.to_le_bytes());
                put(entry, ID, &id.to_le_bytes());
                put(entry, SECTOR, &sector.to_le_bytes());
                put(entry, DISCARD_NR_SECTORS, &sectors.to_le_bytes());
            }
        }
    }

    /// What the answer to a ring entry repeats of it: the id, and the operation; that of an
    /// indirect request is the one within, as in Linux.
    #[inline]
    #[must_use]
    pub fn echo(entry: &[u8; REQUEST_SIZE]) -> (u64, u8) {
        let operation = match entry[OPERATION] {
            OP_INDIRECT => entry[INDIRECT_OP],
            operation => operation,
        };
        (u64::from_le_bytes(get(entry, ID)), operation)
    }

    /// Takes a ring entry apart. Only what is needed to do so is checked; sectors, references and
    /// counts of indirect segments are the frontend's word.
    ///
    /// # Errors
    /// If the operation is unknown, or claims more segments than a request holds.
    #[inline]
    pub fn decode(entry: &[u8; REQUEST_SIZE]) -> Result<Self, BadRequest> {
        let operation = entry[OPERATION];
        let id = u64::from_le_bytes(get(entry, ID));
        let sector = u64::from_le_bytes(get(entry, SECTOR));
        let handle = u16::from_le_bytes(get(entry, HANDLE));
        match operation {
            OP_READ | OP_WRITE | OP_WRITE_BARRIER | OP_FLUSH_DISKCACHE => {
                let count = entry[NR_SEGMENTS];
                if usize::from(count) > MAX_SEGMENTS_PER_REQUEST {
                    return Err(BadRequest::Segments {
                        id,
                        operation,
                        count,
                    });
                }
                let mut segments = [Segment::default(); MAX_SEGMENTS_PER_REQUEST];
                for (index, segment) in segments.iter_mut().take(usize::from(count)).enumerate() {
                    *segment = Segment::decode(&get(entry, SEGMENTS + index * SEGMENT_SIZE));
                }
                Ok(Self::Direct(Direct {
                    operation,
                    handle,
                    id,
                    sector,
                    segments,
                    count,
                }))
            }
            OP_INDIRECT => Ok(Self::Indirect {
                operation: entry[INDIRECT_OP],
                handle: u16::from_le_bytes(get(entry, INDIRECT_HANDLE)),
                id,
                sector,
                segments: u16::from_le_bytes(get(entry, INDIRECT_NR_SEGMENTS)),
                grefs: core::array::from_fn(|index| {
                    u32::from_le_bytes(get(entry, INDIRECT_GREFS + index * 4))
                }),
            }),
            OP_DISCARD => Ok(Self::Discard {
                flag: entry[DISCARD_FLAG],
                handle,
                id,
                sector,
                sectors: u64::from_le_bytes(get(entry, DISCARD_NR_SECTORS)),
            }),
            _ => Err(BadRequest::Operation { id, operation }),
        }
    }
}

/// Writes `bytes` at `offset`, one of the constants above.
fn put(entry: &mut [u8; REQUEST_SIZE], offset: usize, bytes: &[u8]) {
    entry[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// The `N` bytes at `offset`, one of the constants above.
fn get<const N: usize>(entry: &[u8; REQUEST_SIZE], offset: usize) -> [u8; N] {
    core::array::from_fn(|index| entry[offset + index])
}

#[cfg(test)]
mod tests;
