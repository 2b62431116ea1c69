//! `io/blkif.h`: block devices, in the 64-bit layout (`x86_64-abi`); [`Layout`] has the other one.
//!
//! Sectors are always of 512 bytes here, whatever the disk's own sector size is.
//!
//! - [`request`]: what the frontend asks
//! - [`response`]: what the backend answers
//! - [`layout`]: the layouts of 64-bit and 32-bit frontends

pub mod layout;
pub mod request;
pub mod response;

pub use layout::Layout;
pub use request::{BadRequest, Direct, Request, Segment};
pub use response::Response;

/// Read.
pub const OP_READ: u8 = 0;
/// Write.
pub const OP_WRITE: u8 = 1;
/// Write, after all writes before and before all writes after, and make it durable.
pub const OP_WRITE_BARRIER: u8 = 2;
/// Make all completed writes durable.
pub const OP_FLUSH_DISKCACHE: u8 = 3;
/// Forget sectors' content.
pub const OP_DISCARD: u8 = 5;
/// A request whose segments are listed in granted pages.
pub const OP_INDIRECT: u8 = 6;

/// The request succeeded.
pub const RSP_OKAY: i16 = 0;
/// It failed.
pub const RSP_ERROR: i16 = -1;
/// The backend does not know the operation.
pub const RSP_EOPNOTSUPP: i16 = -2;

/// Segments that fit in a request itself.
pub const MAX_SEGMENTS_PER_REQUEST: usize = 11;
/// Pages of segments that an indirect request can name.
pub const MAX_INDIRECT_PAGES_PER_REQUEST: usize = 8;
/// Segments in one such page.
pub const SEGMENTS_PER_INDIRECT_PAGE: usize = 512;

/// Bytes of a request, and so of a ring entry.
pub const REQUEST_SIZE: usize = 112;
/// Bytes of a response.
pub const RESPONSE_SIZE: usize = 16;
/// Bytes of a segment.
pub const SEGMENT_SIZE: usize = 8;

/// Bytes in the protocol's unit of sectors.
pub const SECTOR_SIZE: u64 = 512;
/// The last sector in a page: the largest value of `Segment::last_sect`.
pub const LAST_SECTOR_IN_PAGE: u8 = 7;

/// Bit of a discard request's flag: the content must be unrecoverable.
pub const DISCARD_SECURE: u8 = 1;

/// Bit of the backend's key `info`: a CD-ROM.
pub const VDISK_CDROM: u64 = 1;
/// Bit of the backend's key `info`: the medium can be taken out.
pub const VDISK_REMOVABLE: u64 = 2;
/// Bit of the backend's key `info`: writes are refused.
pub const VDISK_READONLY: u64 = 4;
