//! Why there is no NOP.

use alloc::string::String;
use core::fmt;

use crate::disk::standing::StandError;
use crate::errno::Errno;

/// Why a NOP was not made or not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NopError {
    /// There is no provider, or no NOP, of that name.
    NotFound(String),
    /// The provider is lost.
    Lost(Errno),
    /// There is a provider of the name that the NOP would have.
    NameInUse(String),
    /// The offset and the size are not whole sectors inside the provider.
    Range,
    /// Too many layers lie on each other already.
    TooHigh,
    /// A rate is more than [`MILLION`](super::MILLION).
    Rate(u32),
}

impl NopError {
    pub(super) fn of(error: StandError, below: &str, name: &str) -> Self {
        match error {
            StandError::NotFound => Self::NotFound(below.into()),
            StandError::Lost(errno) => Self::Lost(errno),
            StandError::NameInUse => Self::NameInUse(name.into()),
            StandError::Range => Self::Range,
            StandError::TooHigh => Self::TooHigh,
        }
    }
}

impl fmt::Display for NopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(name) => write!(f, "there is no {name}"),
            Self::Lost(errno) => write!(f, "the provider is lost: {errno}"),
            Self::NameInUse(name) => write!(f, "there is a provider {name}"),
            Self::Range => f.write_str("offset and size are not whole sectors inside the provider"),
            Self::TooHigh => f.write_str("too many layers lie on each other"),
            Self::Rate(rate) => write!(f, "rate {rate} is more than a million"),
        }
    }
}

impl core::error::Error for NopError {}
