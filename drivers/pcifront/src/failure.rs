//! Why an operation failed.

use core::fmt;

use hv::Errno;
use xen_abi::io::pciif;

/// Why an operation failed. The function is there as before, unless it is [gone](Self::Gone).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The function is not there any more, or the backend is not.
    Gone,
    /// The backend did not answer in time. Whatever it answers later is of no account.
    TimedOut,
    /// The backend would not do it: its `XEN_PCI_ERR_*` (io/pciif.h).
    Refused(i32),
    /// The backend's answer cannot be true.
    Nonsense(&'static str),
    /// There is no such thing: a base address register that is not used, or one of I/O ports.
    Absent,
    /// Xen would not do it.
    Xen(Errno),
}

impl Failure {
    /// Whether nobody can be asked for anything: the function, its backend or its connection is not
    /// there, or says nothing.
    #[must_use]
    pub fn is_unreachable(self) -> bool {
        matches!(
            self,
            Self::Gone | Self::TimedOut | Self::Refused(pciif::ERR_DEV_NOT_FOUND)
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Gone => f.write_str("the function is gone"),
            Self::TimedOut => f.write_str("the backend does not answer"),
            Self::Refused(pciif::ERR_DEV_NOT_FOUND) => f.write_str("no such device"),
            Self::Refused(pciif::ERR_INVALID_OFFSET) => f.write_str("no such register"),
            Self::Refused(pciif::ERR_ACCESS_DENIED) => f.write_str("access denied"),
            Self::Refused(pciif::ERR_NOT_IMPLEMENTED) => f.write_str("not implemented"),
            Self::Refused(pciif::ERR_OP_FAILED) => f.write_str("the operation failed"),
            Self::Refused(error) => write!(f, "the backend's error {error}"),
            Self::Nonsense(what) => f.write_str(what),
            Self::Absent => f.write_str("there is no such thing"),
            Self::Xen(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}
