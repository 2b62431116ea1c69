//! Why a device cannot go on.

use alloc::string::String;
use core::fmt;

use hv::Errno;
use xenbus::{KeyError, KeyFault, StoreError};

use crate::misbehaviour::Misbehaviour;
use crate::pool::NoPage;

/// Why a device cannot go on. It ends that device and no other.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The store does not do what it is asked.
    Store(StoreError),
    /// A node does not hold what it must.
    Key(KeyError),
    /// The backend cannot copy what is received.
    NoCopy,
    /// The vif's address is none; so it begins.
    Address(String),
    /// The backend breaks the protocol.
    Misbehaviour(Misbehaviour),
    /// No page for rings or data.
    Memory(NoPage),
    /// No event channel.
    Port(Errno),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "xenstore: {error}"),
            Self::Key(error) => error.fmt(f),
            Self::NoCopy => f.write_str("the backend does not offer feature-rx-copy"),
            Self::Address(text) => write!(f, "{text:?} is not a device's Ethernet address"),
            Self::Misbehaviour(what) => write!(f, "the backend breaks the protocol: {what}"),
            Self::Memory(error) => write!(f, "no page for rings or data: {error}"),
            Self::Port(error) => write!(f, "no event channel: {error}"),
        }
    }
}

impl Failure {
    /// Whether it only says that the toolstack has taken the device away.
    pub(crate) fn is_removal(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::NoEntry | StoreError::Replaced)
        )
    }

    /// Whether it only says that the store did not answer, which it may do later.
    pub(crate) fn is_silence(&self) -> bool {
        self.store() == Some(&StoreError::TimedOut)
    }

    /// Whether it says that the store will not answer any more.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self.store(), Some(StoreError::Lost(_)))
    }

    /// Whether it says that a node is not there, or not any more.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self.store(), Some(StoreError::NoEntry | StoreError::Denied))
    }

    /// The store's error that it comes from.
    fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error)
            | Self::Key(KeyError {
                fault: KeyFault::Store(error),
                ..
            }) => Some(error),
            _ => None,
        }
    }
}
