//! A peer that does not keep to the protocol.

use core::fmt;

/// An index of the peer's that cannot be true. The ring is of no more use: its owner closes the
/// device and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerFault {
    /// The index's name in the Xen header, `rsp_prod` for example.
    pub name: &'static str,
    /// What the peer wrote.
    pub theirs: u32,
    /// The private index it was compared with.
    pub ours: u32,
    /// How far `theirs` may be ahead of `ours`.
    pub limit: u32,
}

impl fmt::Display for PeerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is {:#x}: {} ahead of {:#x}, where at most {} can be",
            self.name,
            self.theirs,
            self.theirs.wrapping_sub(self.ours),
            self.ours,
            self.limit
        )
    }
}

impl core::error::Error for PeerFault {}
