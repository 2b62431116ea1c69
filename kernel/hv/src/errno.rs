//! The errors a hypercall returns.

use core::fmt;

/// A Xen error number, positive (errno.h of Xen's public headers; a hypercall returns it negated).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u16);

impl Errno {
    /// Operation not permitted.
    pub const EPERM: Self = Self(1);
    /// No such entry.
    pub const ENOENT: Self = Self(2);
    /// No such process: here, no such domain.
    pub const ESRCH: Self = Self(3);
    /// Try again.
    pub const EAGAIN: Self = Self(11);
    /// Out of memory.
    pub const ENOMEM: Self = Self(12);
    /// Bad address.
    pub const EFAULT: Self = Self(14);
    /// Busy.
    pub const EBUSY: Self = Self(16);
    /// It exists already.
    pub const EEXIST: Self = Self(17);
    /// Invalid argument.
    pub const EINVAL: Self = Self(22);
    /// No room: here, no free event channel.
    pub const ENOSPC: Self = Self(28);
    /// Not implemented.
    pub const ENOSYS: Self = Self(38);

    /// What a hypercall's return value says: the value itself, or the error it stands for.
    ///
    /// # Errors
    /// Every negative `value` is an error.
    pub fn check(value: i64) -> Result<u64, Self> {
        u64::try_from(value)
            .map_err(|_| Self(u16::try_from(value.unsigned_abs()).unwrap_or(u16::MAX)))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::EPERM => "EPERM",
            Self::ENOENT => "ENOENT",
            Self::ESRCH => "ESRCH",
            Self::EAGAIN => "EAGAIN",
            Self::ENOMEM => "ENOMEM",
            Self::EFAULT => "EFAULT",
            Self::EBUSY => "EBUSY",
            Self::EEXIST => "EEXIST",
            Self::EINVAL => "EINVAL",
            Self::ENOSPC => "ENOSPC",
            Self::ENOSYS => "ENOSYS",
            Self(other) => return write!(f, "Xen error {other}"),
        };
        f.write_str(name)
    }
}

impl core::error::Error for Errno {}
