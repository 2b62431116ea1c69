//! Why an export cannot go on.

use alloc::string::String;
use core::fmt;

use geom::OpenError;
use hv::{Errno, GrantStatus};
use ring::PeerFault;
use xenbus::{KeyError, KeyFault, StoreError};

use crate::keys::BadKeys;
use crate::target::TargetError;

/// Why an export cannot go on. It ends that export and no other.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The store does not do what it is asked.
    Store(StoreError),
    /// A node of the toolstack's does not hold what it must.
    Key(KeyError),
    /// `target=` makes no sense.
    Target(TargetError),
    /// There is no such provider, and none came in time.
    NoProvider(String),
    /// Another run loop has the disk that it is on.
    Elsewhere,
    /// GEOM does not let it be opened.
    Open(OpenError),
    /// The frontend published what it may not.
    Keys(BadKeys),
    /// A page of the ring cannot be mapped.
    Ring(GrantStatus),
    /// The frontend's port cannot be bound.
    Port(Errno),
    /// The frontend breaks the protocol.
    Misbehaviour(PeerFault),
    /// There is no page left.
    Memory,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(StoreError::Quota) => {
                f.write_str("xenstore lets this domain have no more nodes: too many exports")
            }
            Self::Store(error) => write!(f, "xenstore: {error}"),
            Self::Key(error) => error.fmt(f),
            Self::Target(error) => error.fmt(f),
            Self::NoProvider(name) => write!(f, "there is no provider {name}"),
            Self::Elsewhere => f.write_str("another vCPU has its disk"),
            Self::Open(error) => error.fmt(f),
            Self::Keys(error) => error.fmt(f),
            Self::Ring(status) => write!(f, "a page of the ring cannot be mapped: {status}"),
            Self::Port(error) => write!(f, "event-channel cannot be bound: {error}"),
            Self::Misbehaviour(fault) => write!(f, "the frontend breaks the protocol: {fault}"),
            Self::Memory => f.write_str("out of memory"),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    /// Whether it only says that the toolstack has taken the export away.
    pub(crate) fn is_removal(&self) -> bool {
        let error = match self {
            Self::Store(error) => error,
            _ => return false,
        };
        matches!(error, StoreError::NoEntry | StoreError::Replaced)
    }

    /// Whether nothing can be done in the store any more.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Lost(_))
                | Self::Key(KeyError {
                    fault: KeyFault::Store(StoreError::Lost(_)),
                    ..
                })
        )
    }
}
