//! Numbers and layouts of the handshake (`doc/proto.md`, "Newstyle negotiation", "Values").

use alloc::vec::Vec;

use crate::wire::{take_u16, take_u32, take_u64};

const PASSWORD: &[u8; 8] = b"NBDMAGIC";
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;

/// Handshake flags, and the client's: fixed newstyle, and no zeroes after an export's description.
const FLAG_FIXED_NEWSTYLE: u16 = 1 << 0;
pub(crate) const FLAG_NO_ZEROES: u16 = 1 << 1;

/// The client's flags that were offered.
pub(crate) const CLIENT_FLAGS: u32 = (FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES) as u32;

/// Bytes of an option's header.
pub(crate) const HEADER_SIZE: usize = 16;
/// Zeroes after the answer to `EXPORT_NAME`.
pub(crate) const ZEROES: usize = 124;

pub(crate) mod kind {
    //! Options.
    pub(crate) const EXPORT_NAME: u32 = 1;
    pub(crate) const ABORT: u32 = 2;
    pub(crate) const LIST: u32 = 3;
    pub(crate) const INFO: u32 = 6;
    pub(crate) const GO: u32 = 7;
    pub(crate) const STRUCTURED_REPLY: u32 = 8;
}

pub(crate) mod reply {
    //! Types of replies.
    pub(crate) const ACK: u32 = 1;
    pub(crate) const SERVER: u32 = 2;
    pub(crate) const INFO: u32 = 3;
    pub(crate) const ERR_UNSUP: u32 = (1 << 31) + 1;
    pub(crate) const ERR_POLICY: u32 = (1 << 31) + 2;
    pub(crate) const ERR_INVALID: u32 = (1 << 31) + 3;
    pub(crate) const ERR_UNKNOWN: u32 = (1 << 31) + 6;
    pub(crate) const ERR_BLOCK_SIZE_REQD: u32 = (1 << 31) + 8;
    pub(crate) const ERR_TOO_BIG: u32 = (1 << 31) + 9;
}

pub(crate) mod info {
    //! What a client may want to know of an export.
    pub(crate) const EXPORT: u16 = 0;
    pub(crate) const NAME: u16 = 1;
    pub(crate) const BLOCK_SIZE: u16 = 3;
}

/// What the server says first.
pub(crate) fn greeting() -> Vec<u8> {
    let mut bytes = PASSWORD.to_vec();
    bytes.extend(OPTION_MAGIC.to_be_bytes());
    bytes.extend((FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES).to_be_bytes());
    bytes
}

/// The header of an option: which, and how many bytes follow. `None` if these are not the bytes of
/// one.
pub(crate) fn header(mut bytes: &[u8]) -> Option<(u32, u32)> {
    let from = &mut bytes;
    let magic = take_u64(from)?;
    let header = (take_u32(from)?, take_u32(from)?);
    (magic == OPTION_MAGIC).then_some(header)
}

/// A reply to option `option`, appended to `bytes`.
pub(crate) fn answer(bytes: &mut Vec<u8>, option: u32, kind: u32, data: &[u8]) {
    // No reply of ours is anywhere near that long.
    let Ok(length) = u32::try_from(data.len()) else {
        return;
    };
    bytes.extend(REPLY_MAGIC.to_be_bytes());
    bytes.extend(option.to_be_bytes());
    bytes.extend(kind.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(data);
}

/// What `INFO` and `GO` ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wish<'data> {
    /// As it came; may be empty.
    pub(crate) name: &'data [u8],
    /// The export's own name is asked for.
    pub(crate) canonical_name: bool,
    /// The sizes of blocks are asked for, so the client will keep to them.
    pub(crate) block_size: bool,
}

impl<'data> Wish<'data> {
    /// `None` if the lengths do not fit each other.
    pub(crate) fn parse(mut data: &'data [u8]) -> Option<Self> {
        let from = &mut data;
        let length = usize::try_from(take_u32(from)?).ok()?;
        let (name, rest) = from.split_at_checked(length)?;
        *from = rest;
        let count = usize::from(take_u16(from)?);
        if from.len() != 2 * count {
            return None;
        }
        let mut wish = Self {
            name,
            canonical_name: false,
            block_size: false,
        };
        while let Some(asked) = take_u16(from) {
            wish.canonical_name |= asked == info::NAME;
            wish.block_size |= asked == info::BLOCK_SIZE;
        }
        Some(wish)
    }
}
