//! A ring's entries in the layouts of 64-bit and 32-bit x86 (`io/blkif.h`), whatever is in them.
//!
//! Written anew rather than taken from `xen-abi`: what is tested is not its own oracle.

use anyhow::{Result, bail};
use std::fmt;
use std::str::FromStr;
use xen_abi::io::blkif::{MAX_INDIRECT_PAGES_PER_REQUEST, OP_DISCARD, OP_INDIRECT, Segment};
use xen_abi::io::protocols;

/// Which layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abi {
    /// `x86_64-abi`: 64-bit fields are aligned to 8 bytes.
    X86_64,
    /// `x86_32-abi`: they are aligned to 4.
    X86_32,
}

impl FromStr for Abi {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "64" => Self::X86_64,
            "32" => Self::X86_32,
            _ => bail!("{text:?} is no ABI: 64 or 32"),
        })
    }
}

impl Abi {
    /// What the key `protocol` says.
    pub(super) fn protocol(self) -> &'static str {
        match self {
            Self::X86_64 => protocols::X86_64,
            Self::X86_32 => protocols::X86_32,
        }
    }

    /// Bytes of an entry.
    pub(super) fn entry_size(self) -> usize {
        match self {
            Self::X86_64 => 112,
            Self::X86_32 => 108,
        }
    }

    /// Bytes of a response.
    pub(super) fn response_size(self) -> usize {
        match self {
            Self::X86_64 => 16,
            Self::X86_32 => 12,
        }
    }

    /// Where the id is in a request; the sector follows it, and what differs follows that.
    fn id(self) -> usize {
        match self {
            Self::X86_64 => 8,
            Self::X86_32 => 4,
        }
    }
}

/// A request, true or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) sector: u64,
    pub(super) handle: u16,
    pub(super) body: Body,
}

/// What is different from request to request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// With its segments in it; no more of them are written than fit.
    Direct {
        operation: u8,
        count: u8,
        segments: Vec<Segment>,
    },
    /// `BLKIF_OP_DISCARD`.
    Discard { flag: u8, sectors: u64 },
    /// `BLKIF_OP_INDIRECT`.
    Indirect {
        operation: u8,
        count: u16,
        lists: [u32; MAX_INDIRECT_PAGES_PER_REQUEST],
    },
}

impl Slot {
    pub(super) fn encode(&self, abi: Abi) -> Vec<u8> {
        let mut entry = vec![0; abi.entry_size()];
        let mut put = |at: usize, bytes: &[u8]| {
            let room = entry.len() - at;
            let bytes = &bytes[..bytes.len().min(room)];
            entry[at..at + bytes.len()].copy_from_slice(bytes);
        };
        let (id, sector, rest) = (abi.id(), abi.id() + 8, abi.id() + 16);
        put(id, &self.id.to_le_bytes());
        put(sector, &self.sector.to_le_bytes());
        let handle = self.handle.to_le_bytes();
        match &self.body {
            Body::Direct {
                operation,
                count,
                segments,
            } => {
                put(0, &[*operation, *count]);
                put(2, &handle);
                let bytes: Vec<u8> = segments.iter().flat_map(Segment::encode).collect();
                put(rest, &bytes);
            }
            Body::Discard { flag, sectors } => {
                put(0, &[OP_DISCARD, *flag]);
                put(2, &handle);
                put(rest, &sectors.to_le_bytes());
            }
            Body::Indirect {
                operation,
                count,
                lists,
            } => {
                put(0, &[OP_INDIRECT, *operation]);
                put(2, &count.to_le_bytes());
                put(rest, &handle);
                let bytes: Vec<u8> = lists.iter().flat_map(|gref| gref.to_le_bytes()).collect();
                put(rest + 4, &bytes);
            }
        }
        entry
    }
}

/// What the backend wrote into an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) queue: usize,
    pub(super) id: u64,
    pub(super) operation: u8,
    pub(super) status: i16,
    pub(super) padding: Padding,
}

/// What the bytes of an answer are that no field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Padding {
    /// Zero.
    Zero,
    /// What the request had there: Linux leaves it.
    Kept,
    /// Neither: the backend's own memory, perhaps (XSA-216).
    Dirty,
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "zero",
            Self::Kept => "kept",
            Self::Dirty => "dirty",
        })
    }
}

impl Answer {
    /// `bytes` are a response's, 12 or 16 of them; `before` are those of the request there.
    pub(super) fn decode(queue: usize, bytes: &[u8], before: &[u8]) -> Self {
        let id = std::array::from_fn(|at| bytes[at]);
        let padding = |bytes: &[u8]| [&bytes[9..10], &bytes[12..]].concat();
        let found = padding(bytes);
        let padding = if found.iter().all(|byte| *byte == 0) {
            Padding::Zero
        } else if found == padding(&before[..bytes.len()]) {
            Padding::Kept
        } else {
            Padding::Dirty
        };
        Self {
            queue,
            id: u64::from_le_bytes(id),
            operation: bytes[8],
            status: i16::from_le_bytes([bytes[10], bytes[11]]),
            padding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xen_abi::io::blkif::{OP_READ, OP_WRITE, REQUEST_SIZE, Request, Response};

    const SEGMENT: Segment = Segment {
        gref: 0x0102_0304,
        first_sect: 1,
        last_sect: 6,
    };

    fn slot(body: Body) -> Slot {
        Slot {
            id: 0x1112_1314_1516_1718,
            sector: 0x2122_2324_2526_2728,
            handle: 0x3132,
            body,
        }
    }

    fn decoded(slot: &Slot) -> Request {
        let entry: [u8; REQUEST_SIZE] = slot.encode(Abi::X86_64).try_into().unwrap();
        Request::decode(&entry).unwrap()
    }

    #[test]
    fn the_64_bit_layout_is_that_of_xen_abi() {
        let direct = slot(Body::Direct {
            operation: OP_WRITE,
            count: 11,
            segments: vec![SEGMENT; 11],
        });
        let Request::Direct(request) = decoded(&direct) else {
            panic!("a write is direct");
        };
        assert_eq!(request.segments(), [SEGMENT; 11]);
        assert_eq!(
            (
                request.operation,
                request.handle,
                request.id,
                request.sector
            ),
            (OP_WRITE, direct.handle, direct.id, direct.sector)
        );
        let discard = slot(Body::Discard {
            flag: 1,
            sectors: 0x4142_4344_4546_4748,
        });
        assert_eq!(
            decoded(&discard),
            Request::Discard {
                flag: 1,
                handle: discard.handle,
                id: discard.id,
                sector: discard.sector,
                sectors: 0x4142_4344_4546_4748,
            }
        );
        let grefs = [1, 2, 3, 4, 5, 6, 7, 8];
        let indirect = slot(Body::Indirect {
            operation: OP_READ,
            count: 4097,
            lists: grefs,
        });
        assert_eq!(
            decoded(&indirect),
            Request::Indirect {
                operation: OP_READ,
                handle: indirect.handle,
                id: indirect.id,
                sector: indirect.sector,
                segments: 4097,
                grefs,
            }
        );
    }

    #[test]
    fn the_32_bit_layout_has_no_holes_before_its_64_bit_fields() {
        let direct = slot(Body::Direct {
            operation: OP_WRITE,
            count: 255,
            segments: vec![SEGMENT; 11],
        });
        let entry = direct.encode(Abi::X86_32);
        assert_eq!(entry.len(), 108);
        assert_eq!(entry[..4], [1, 255, 0x32, 0x31]);
        assert_eq!(entry[4..12], direct.id.to_le_bytes());
        assert_eq!(entry[12..20], direct.sector.to_le_bytes());
        assert_eq!(entry[20..28], [4, 3, 2, 1, 1, 6, 0, 0]);
        assert_eq!(entry[100..], [4, 3, 2, 1, 1, 6, 0, 0]);

        let entry = slot(Body::Indirect {
            operation: OP_WRITE,
            count: 0x0102,
            lists: [7; 8],
        });
        let entry = entry.encode(Abi::X86_32);
        assert_eq!(entry[..4], [6, 1, 2, 1]);
        assert_eq!(entry[20..28], [0x32, 0x31, 0, 0, 7, 0, 0, 0]);
        assert_eq!(entry[52..57], [7, 0, 0, 0, 0]);

        let entry = slot(Body::Discard {
            flag: 1,
            sectors: 9,
        });
        assert_eq!(entry.encode(Abi::X86_32)[20..28], 9_u64.to_le_bytes());
    }

    #[test]
    fn more_segments_than_fit_end_with_the_entry() {
        let many = slot(Body::Direct {
            operation: OP_READ,
            count: 200,
            segments: vec![SEGMENT; 200],
        });
        assert_eq!(many.encode(Abi::X86_64).len(), 112);
        assert_eq!(many.encode(Abi::X86_32).len(), 108);
    }

    #[test]
    fn b15_an_answer_says_what_its_padding_is() {
        let response = Response {
            id: u64::MAX - 1,
            operation: OP_WRITE,
            status: -2,
        };
        let bytes = response.encode();
        let request = [7; 108];
        let answer = Answer::decode(3, &bytes, &request);
        let expected = Answer {
            queue: 3,
            id: u64::MAX - 1,
            operation: OP_WRITE,
            status: -2,
            padding: Padding::Zero,
        };
        assert_eq!(answer, expected);
        let padding = |bytes: &[u8]| Answer::decode(0, bytes, &request).padding;
        assert_eq!(padding(&bytes[..12]), Padding::Zero);
        for at in [9, 12, 15] {
            let mut leaky = bytes;
            leaky[at] = 1;
            assert_eq!(padding(&leaky), Padding::Dirty, "{at}");
        }
        let mut lazy = bytes;
        lazy[9] = 7;
        lazy[12..].fill(7);
        assert_eq!(padding(&lazy), Padding::Kept);
        assert_eq!(padding(&lazy[..12]), Padding::Kept);
    }
}
