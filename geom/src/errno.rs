//! What can go wrong with a request or an open, in the field's own numbers.

use core::fmt;

/// Why a request or an open was refused or failed. Shown with its traditional name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Errno {
    /// EIO: the device failed the request.
    Io,
    /// ENXIO: the device is gone, going, or holds no media.
    NoDevice,
    /// EPERM: another holder excludes this access, or the device is not open for it.
    NotPermitted,
    /// EROFS: the media cannot be written.
    ReadOnly,
    /// EOPNOTSUPP: the device has no such operation.
    NotSupported,
    /// EINVAL: offset or length are not whole sectors.
    Invalid,
    /// EIO in FreeBSD, our own word here: the range ends beyond the media. Never truncated.
    BeyondEnd,
    /// ENOENT: there is no provider of that name.
    NotFound,
    /// ENOSPC: the disk has no room left to keep what is written.
    NoSpace,
    /// EBUSY: the driver is inside a call of its own and cannot be entered now.
    Busy,
}

impl Errno {
    /// The traditional name, such as `ENXIO`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Io => "EIO",
            Self::NoDevice => "ENXIO",
            Self::NotPermitted => "EPERM",
            Self::ReadOnly => "EROFS",
            Self::NotSupported => "EOPNOTSUPP",
            Self::Invalid => "EINVAL",
            Self::BeyondEnd => "EIO (beyond the end of the media)",
            Self::NotFound => "ENOENT",
            Self::NoSpace => "ENOSPC",
            Self::Busy => "EBUSY",
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Errno {}
