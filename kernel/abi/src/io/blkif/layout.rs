//! The two layouts of ring entries: a 32-bit x86 compiler aligns 64-bit words to 4 bytes only.

use super::{REQUEST_SIZE, RESPONSE_SIZE};

/// Where the 64-bit layout has padding that the 32-bit one lacks. Everything behind it is the same
/// in all three kinds of request.
const PADDING: core::ops::Range<usize> = 4..8;

/// A layout, named by the frontend's key `protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `x86_64-abi`; the layout of the rest of this module.
    #[default]
    X86_64,
    /// `x86_32-abi`.
    X86_32,
}

impl Layout {
    /// Bytes of a request, and so of a ring entry.
    #[must_use]
    pub const fn request_size(self) -> usize {
        match self {
            Self::X86_64 => REQUEST_SIZE,
            Self::X86_32 => REQUEST_SIZE - (PADDING.end - PADDING.start),
        }
    }

    /// Bytes of a response: the 32-bit one ends earlier, and is the same up to there.
    #[must_use]
    pub const fn response_size(self) -> usize {
        match self {
            Self::X86_64 => RESPONSE_SIZE,
            Self::X86_32 => RESPONSE_SIZE - 4,
        }
    }

    /// Turns a ring entry in this layout, the first [`request_size`](Self::request_size) bytes of
    /// `entry`, into one in the 64-bit layout.
    pub fn widen(self, entry: &mut [u8; REQUEST_SIZE]) {
        if self == Self::X86_32 {
            entry.copy_within(PADDING.start..self.request_size(), PADDING.end);
            entry[PADDING].fill(0);
        }
    }

    /// Turns a ring entry in the 64-bit layout into one in this layout; its last bytes are zero if
    /// it is shorter.
    pub fn narrow(self, entry: &mut [u8; REQUEST_SIZE]) {
        if self == Self::X86_32 {
            entry.copy_within(PADDING.end.., PADDING.start);
            entry[self.request_size()..].fill(0);
        }
    }
}
