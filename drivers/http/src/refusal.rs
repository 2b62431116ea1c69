//! Why a request is not answered as it wants.

use core::fmt;

use crate::status::Status;

/// A request that cannot be taken. The connection ends with it: where the next request begins is
/// not certain any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the client is told.
    pub status: Status,
    /// The reason, for people.
    pub why: &'static str,
}

impl Refusal {
    /// 400.
    #[must_use]
    pub const fn bad(why: &'static str) -> Self {
        Self {
            status: Status::BadRequest,
            why,
        }
    }

    /// With another status.
    #[must_use]
    pub const fn with(status: Status, why: &'static str) -> Self {
        Self { status, why }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.why)
    }
}
