//! What ends a connection.

use alloc::string::ToString;
use core::fmt;

use hv::Errno;

/// What only this driver can say of why the devices cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no page to share, or it cannot be granted.
    Page,
    /// There is no port.
    Port(Errno),
    /// Operations in a row without an answer.
    Silent(u32),
    /// The backend did what no backend may do.
    Misbehaviour(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page => f.write_str("no page to share"),
            Self::Port(error) => write!(f, "no event channel: {error}"),
            Self::Silent(number) => write!(f, "the backend left {number} operations unanswered"),
            Self::Misbehaviour(what) => write!(f, "the backend {what}"),
        }
    }
}

impl From<Fault> for frontend::Failure {
    fn from(fault: Fault) -> Self {
        Self::Own(fault.to_string())
    }
}
