//! A frontend's request, checked; pure.
//!
//! Whatever stands in the ring has been copied out before; here the copy is judged against what was
//! published to this frontend. What passes names bytes of the provider and parts of pages, all
//! within their bounds; whether the pages are really granted is Xen's to say, when they are used.

use hv::GrantRef;
use iobuf::Segment as Part;
use xen_abi::io::blkif::{
    BadRequest, DISCARD_SECURE, LAST_SECTOR_IN_PAGE, MAX_INDIRECT_PAGES_PER_REQUEST,
    OP_FLUSH_DISKCACHE, OP_READ, OP_WRITE, OP_WRITE_BARRIER, Request, SECTOR_SIZE, Segment,
};

/// What was published to a frontend, and its requests are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Bytes of a sector.
    pub(crate) sector_size: u32,
    /// Writes, flushes and discards are refused.
    pub(crate) read_only: bool,
    /// `feature-flush-cache` and `feature-barrier`.
    pub(crate) flush: bool,
    /// `feature-discard`.
    pub(crate) discard: bool,
    /// `discard-secure`.
    pub(crate) secure: bool,
    /// `feature-max-indirect-segments`.
    pub(crate) indirect_segments: u16,
}

/// What a request wants, in bytes of the provider. How long a read or write is follows from its
/// segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Read {
        offset: u64,
    },
    /// With `barrier`: after everything before and before everything after, and durable when
    /// answered. With `flush_first`: everything written before is durable before this is written.
    Write {
        offset: u64,
        barrier: bool,
        flush_first: bool,
    },
    Flush,
    Discard {
        offset: u64,
        length: u64,
        secure: bool,
    },
}

/// Why a request is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Answered with `BLKIF_RSP_ERROR`.
    Error,
    /// Answered with `BLKIF_RSP_EOPNOTSUPP`.
    NotSupported,
}

/// Where a request's segments are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// In the request itself.
    Inline,
    /// In pages of the frontend's: so many segments.
    Pages {
        grefs: [u32; MAX_INDIRECT_PAGES_PER_REQUEST],
        count: u16,
    },
    /// There are none.
    Nowhere,
}

impl Terms {
    /// What a request wants and where its segments are.
    pub(crate) fn judge(
        &self,
        request: &Result<Request, BadRequest>,
    ) -> Result<(Wish, List), Refusal> {
        match *request {
            Err(BadRequest::Operation { .. }) => Err(Refusal::NotSupported),
            Err(BadRequest::Segments { .. }) => Err(Refusal::Error),
            Ok(Request::Direct(ref direct)) => {
                let none = direct.segments().is_empty();
                // A flush without data is about no sector: Linux 6.12.118 names one that is none.
                let sector = if none { 0 } else { direct.sector };
                let wish = self.transfer(direct.operation, sector)?;
                match direct.operation {
                    OP_WRITE_BARRIER | OP_FLUSH_DISKCACHE if none => {
                        Ok((Wish::Flush, List::Nowhere))
                    }
                    _ if none => Err(Refusal::Error),
                    _ => Ok((wish, List::Inline)),
                }
            }
            Ok(Request::Indirect {
                operation,
                sector,
                segments: count,
                grefs,
                ..
            }) => {
                if !matches!(operation, OP_READ | OP_WRITE) {
                    return Err(Refusal::Error);
                }
                if count == 0 || count > self.indirect_segments {
                    return Err(Refusal::Error);
                }
                let wish = self.transfer(operation, sector)?;
                Ok((wish, List::Pages { grefs, count }))
            }
            Ok(Request::Discard {
                flag,
                sector,
                sectors,
                ..
            }) => Ok((self.discard(flag, sector, sectors)?, List::Nowhere)),
        }
    }

    #[inline]
    fn transfer(&self, operation: u8, sector: u64) -> Result<Wish, Refusal> {
        let writes = operation != OP_READ;
        if matches!(operation, OP_WRITE_BARRIER | OP_FLUSH_DISKCACHE) && !self.flush {
            return Err(Refusal::NotSupported);
        }
        if writes && self.read_only {
            return Err(Refusal::Error);
        }
        let offset = self.offset(sector)?;
        Ok(if writes {
            Wish::Write {
                offset,
                barrier: operation == OP_WRITE_BARRIER,
                flush_first: operation == OP_FLUSH_DISKCACHE,
            }
        } else {
            Wish::Read { offset }
        })
    }

    fn discard(&self, flag: u8, sector: u64, sectors: u64) -> Result<Wish, Refusal> {
        let secure = flag & DISCARD_SECURE != 0;
        if !self.discard || (secure && !self.secure) {
            return Err(Refusal::NotSupported);
        }
        if self.read_only {
            return Err(Refusal::Error);
        }
        Ok(Wish::Discard {
            offset: self.offset(sector)?,
            length: self.offset(sectors)?,
            secure,
        })
    }

    /// Sectors of 512 bytes as bytes: whole sectors of the provider.
    fn offset(&self, sectors: u64) -> Result<u64, Refusal> {
        let bytes = sectors.checked_mul(SECTOR_SIZE).ok_or(Refusal::Error)?;
        if bytes.is_multiple_of(u64::from(self.sector_size)) {
            Ok(bytes)
        } else {
            Err(Refusal::Error)
        }
    }

    /// The part of a page that a segment names.
    pub(crate) fn part(&self, segment: Segment) -> Result<Part, Refusal> {
        let (first, last) = (segment.first_sect, segment.last_sect);
        if first > last || last > LAST_SECTOR_IN_PAGE {
            return Err(Refusal::Error);
        }
        // At most 8 sectors of 512 bytes.
        let bytes = |sectors: u8| u16::from(sectors) * 512;
        let (offset, length) = (bytes(first), bytes(last + 1 - first));
        // The sector size is a power of two: both are whole sectors, or this is not.
        if !u32::from(offset | length).is_multiple_of(self.sector_size) {
            return Err(Refusal::Error);
        }
        Ok(Part {
            reference: GrantRef(segment.gref),
            offset,
            length,
        })
    }
}

#[cfg(test)]
mod tests;
