//! Who may open what: the counts of reads, writes and exclusive opens.
//!
//! Every provider's counts are the sums over its consumers. One consumer's `e` excludes the `w` of
//! all others and the reverse; a consumer never conflicts with itself. A slicer asks its own
//! provider for one `e` with each `w` it is asked for, so an open partition keeps writers off the
//! raw disk, and the reverse. The rules and their order are FreeBSD's `g_access`.

use alloc::string::String;
use core::fmt;

use crate::errno::Errno;

/// What an open is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// To read.
    pub read: bool,
    /// To write, delete and flush.
    pub write: bool,
    /// To keep all others from writing.
    pub exclusive: bool,
}

impl Access {
    /// For reading only.
    pub const READ: Self = Self {
        read: true,
        write: false,
        exclusive: false,
    };
    /// For reading and writing.
    pub const READ_WRITE: Self = Self {
        read: true,
        write: true,
        exclusive: false,
    };
    /// For reading and writing while nobody else writes.
    pub const EXCLUSIVE: Self = Self {
        read: true,
        write: true,
        exclusive: true,
    };

    pub(crate) fn counts(self) -> Counts {
        Counts {
            read: u32::from(self.read),
            write: u32::from(self.write),
            exclusive: u32::from(self.exclusive),
        }
    }
}

/// Open counts of a provider or of one consumer. Shown as `r1w0e0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Opens for reading.
    pub read: u32,
    /// Opens for writing.
    pub write: u32,
    /// Opens that exclude other writers.
    pub exclusive: u32,
}

impl Counts {
    /// Whether nothing is open.
    #[must_use]
    pub fn is_closed(self) -> bool {
        self == Self::default()
    }

    /// These counts after a change, or `None` if one would become negative.
    pub(crate) fn after(self, change: Change) -> Option<Self> {
        Some(Self {
            read: self.read.checked_add_signed(change.read)?,
            write: self.write.checked_add_signed(change.write)?,
            exclusive: self.exclusive.checked_add_signed(change.exclusive)?,
        })
    }

    /// The change from `self` to `to`.
    pub(crate) fn change_to(self, to: Self) -> Change {
        let delta = |from: u32, to: u32| to.wrapping_sub(from).cast_signed();
        Change {
            read: delta(self.read, to.read),
            write: delta(self.write, to.write),
            exclusive: delta(self.exclusive, to.exclusive),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}w{}e{}", self.read, self.write, self.exclusive)
    }
}

/// A change of [`Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) read: i32,
    pub(crate) write: i32,
    pub(crate) exclusive: i32,
}

impl Change {
    /// Whether it asks for more of anything.
    pub(crate) fn opens(self) -> bool {
        self.read > 0 || self.write > 0 || self.exclusive > 0
    }

    /// Whether it gives something up.
    pub(crate) fn closes(self) -> bool {
        self.read < 0 || self.write < 0 || self.exclusive < 0
    }

    /// What a slicer asks of its provider when it is asked for `self`.
    pub(crate) fn below_slicer(self) -> Self {
        Self {
            exclusive: self.write,
            ..self
        }
    }
}

/// A refused open: why, where in the stack, and who stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// Why.
    pub errno: Errno,
    /// The provider that refused: the one asked for, or one below it.
    pub provider: String,
    /// For [`Errno::NotPermitted`]: who holds it, such as `PART xbd0 (xbd0p1 held by shell)`.
    pub holder: Option<String>,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider, self.errno)?;
        match &self.holder {
            Some(holder) => write!(f, ", held by {holder}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for OpenError {}
