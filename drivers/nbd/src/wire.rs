//! Numbers and layouts of the transmission phase (`doc/proto.md`, "Transmission", "Values").
//! Everything on the wire is big-endian.

use alloc::vec::Vec;

use crate::code::Code;

const REQUEST_MAGIC: u32 = 0x2560_9513;
const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
const STRUCTURED_REPLY_MAGIC: u32 = 0x668e_33ef;

/// Bytes of a request's header.
pub(crate) const REQUEST_SIZE: usize = 28;
/// The longest payload of a client that was told nothing else ("Size constraints").
pub(crate) const MAX_PAYLOAD: u32 = 32 << 20;

pub(crate) mod command {
    //! Types of requests.
    pub(crate) const READ: u16 = 0;
    pub(crate) const WRITE: u16 = 1;
    pub(crate) const DISC: u16 = 2;
    pub(crate) const FLUSH: u16 = 3;
    pub(crate) const TRIM: u16 = 4;
    pub(crate) const WRITE_ZEROES: u16 = 6;
}

pub(crate) mod command_flag {
    //! Flags of requests.
    pub(crate) const FUA: u16 = 1 << 0;
    pub(crate) const NO_HOLE: u16 = 1 << 1;
    pub(crate) const DF: u16 = 1 << 2;
}

pub(crate) mod transmission_flag {
    //! What an export can do.
    pub(crate) const HAS_FLAGS: u16 = 1 << 0;
    pub(crate) const READ_ONLY: u16 = 1 << 1;
    pub(crate) const SEND_FLUSH: u16 = 1 << 2;
    pub(crate) const SEND_FUA: u16 = 1 << 3;
    pub(crate) const SEND_TRIM: u16 = 1 << 5;
    pub(crate) const SEND_WRITE_ZEROES: u16 = 1 << 6;
    pub(crate) const SEND_DF: u16 = 1 << 7;
    pub(crate) const CAN_MULTI_CONN: u16 = 1 << 8;
}

const REPLY_FLAG_DONE: u16 = 1 << 0;
const REPLY_TYPE_NONE: u16 = 0;
const REPLY_TYPE_OFFSET_DATA: u16 = 1;
const REPLY_TYPE_ERROR: u16 = (1 << 15) + 1;

/// A request as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) flags: u16,
    pub(crate) command: u16,
    pub(crate) cookie: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

impl Request {
    /// `None` if these are not the bytes of a request: client and server are out of step.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let magic = take_u32(from)?;
        let request = Self {
            flags: take_u16(from)?,
            command: take_u16(from)?,
            cookie: take_u64(from)?,
            offset: take_u64(from)?,
            length: take_u32(from)?,
        };
        (magic == REQUEST_MAGIC).then_some(request)
    }
}

/// A simple reply; data of a read follows it if there is no error.
pub(crate) fn simple_reply(cookie: u64, error: Option<Code>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16);
    bytes.extend(SIMPLE_REPLY_MAGIC.to_be_bytes());
    bytes.extend(error.map_or(0, Code::number).to_be_bytes());
    bytes.extend(cookie.to_be_bytes());
    bytes
}

/// The chunk that ends a structured reply without saying more.
pub(crate) fn none_chunk(cookie: u64) -> Vec<u8> {
    chunk(cookie, REPLY_FLAG_DONE, REPLY_TYPE_NONE, 0)
}

/// The chunk that `length` bytes of data at `offset` follow.
pub(crate) fn data_chunk(cookie: u64, offset: u64, length: u32, last: bool) -> Vec<u8> {
    let flags = if last { REPLY_FLAG_DONE } else { 0 };
    let mut bytes = chunk(
        cookie,
        flags,
        REPLY_TYPE_OFFSET_DATA,
        length.saturating_add(8),
    );
    bytes.extend(offset.to_be_bytes());
    bytes
}

/// The chunk that ends a structured reply with an error, and says it in words too.
pub(crate) fn error_chunk(cookie: u64, code: Code) -> Vec<u8> {
    let text = code.text().as_bytes();
    let length = u16::try_from(text.len()).unwrap_or(0);
    let text = text.get(..usize::from(length)).unwrap_or_default();
    let payload = 6 + u32::from(length);
    let mut bytes = chunk(cookie, REPLY_FLAG_DONE, REPLY_TYPE_ERROR, payload);
    bytes.extend(code.number().to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(text);
    bytes
}

fn chunk(cookie: u64, flags: u16, kind: u16, length: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend(STRUCTURED_REPLY_MAGIC.to_be_bytes());
    bytes.extend(flags.to_be_bytes());
    bytes.extend(kind.to_be_bytes());
    bytes.extend(cookie.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes
}

/// Takes a number off the front; `None` if there are not so many bytes.
pub(crate) fn take_u16(from: &mut &[u8]) -> Option<u16> {
    take(from).map(u16::from_be_bytes)
}

/// As [`take_u16`].
pub(crate) fn take_u32(from: &mut &[u8]) -> Option<u32> {
    take(from).map(u32::from_be_bytes)
}

/// As [`take_u16`].
pub(crate) fn take_u64(from: &mut &[u8]) -> Option<u64> {
    take(from).map(u64::from_be_bytes)
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*first)
}
