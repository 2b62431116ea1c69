//! Why a device cannot go on.

use core::fmt;

use geom::disk::DiskError;
use hv::Errno;
use xenbus::{KeyError, KeyFault, StoreError};

use crate::medium::BadMedium;
use crate::pool::NoPage;
use crate::queue::Misbehaviour;

/// Why a device cannot go on. It ends that device and no other.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The store does not do what it is asked.
    Store(StoreError),
    /// A node does not hold what it must.
    Key(KeyError),
    /// The backend's description of its disk cannot be true.
    Medium(BadMedium),
    /// The backend breaks the protocol.
    Misbehaviour(Misbehaviour),
    /// No page for the ring.
    Ring(NoPage),
    /// No page for data.
    Pool(NoPage),
    /// No event channel.
    Port(Errno),
    /// GEOM does not take the disk.
    Disk(DiskError),
    /// Backends still have more pages of former connections than this domain can spare.
    Parked(usize),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "xenstore: {error}"),
            Self::Key(error) => error.fmt(f),
            Self::Medium(error) => error.fmt(f),
            Self::Misbehaviour(what) => write!(f, "the backend breaks the protocol: {what}"),
            Self::Ring(error) => write!(f, "no page for the ring: {error}"),
            Self::Pool(error) => write!(f, "no page for data: {error}"),
            Self::Port(error) => write!(f, "no event channel: {error}"),
            Self::Disk(error) => write!(f, "GEOM: {error}"),
            Self::Parked(pages) => {
                write!(f, "backends still have {pages} pages of former connections")
            }
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
