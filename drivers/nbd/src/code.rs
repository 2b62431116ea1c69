//! Errors as NBD numbers them (`doc/proto.md`, "Error values").

use geom::Errno;

/// Why a request was not done, as a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    NotPermitted,
    Io,
    NoMemory,
    Invalid,
    NoSpace,
    /// Of a read that may not be cut and is too long to be sent as one.
    Overflow,
    /// The provider is gone.
    Shutdown,
}

impl Code {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::NotPermitted => 1,
            Self::Io => 5,
            Self::NoMemory => 12,
            Self::Invalid => 22,
            Self::NoSpace => 28,
            Self::Overflow => 75,
            Self::Shutdown => 108,
        }
    }

    /// For people.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::NotPermitted => "the export is read-only",
            Self::Io => "the device failed the request",
            Self::NoMemory => "out of memory",
            Self::Invalid => "not whole blocks inside the export, or not supported",
            Self::NoSpace => "no space left",
            Self::Overflow => "too long for one chunk",
            Self::Shutdown => "the device is gone",
        }
    }
}

/// A client may only be told a few of GEOM's errors.
impl From<Errno> for Code {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NoDevice | Errno::NotFound => Self::Shutdown,
            Errno::NotPermitted | Errno::ReadOnly => Self::NotPermitted,
            Errno::Invalid | Errno::NotSupported | Errno::BeyondEnd => Self::Invalid,
            Errno::NoSpace => Self::NoSpace,
            Errno::Io | Errno::Busy => Self::Io,
        }
    }
}
