//! Why a device cannot go on.

use alloc::string::{String, ToString};
use core::fmt;

use xenbus::{KeyError, KeyFault, StoreError};

/// Why a device cannot go on. It ends that device and no other.
#[derive(Debug)]
pub enum Failure {
    /// The store does not do what it is asked.
    Store(StoreError),
    /// A node does not hold what it must.
    Key(KeyError),
    /// What only its driver understands, as people read it.
    Own(String),
    /// The domain lives anew, and its backend is another one.
    Anew,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "xenstore: {error}"),
            Self::Key(error) => error.fmt(f),
            Self::Own(text) => f.write_str(text),
            Self::Anew => f.write_str("the domain lives anew"),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl Failure {
    /// What only the driver understands.
    #[must_use]
    pub fn own(what: &dyn fmt::Display) -> Self {
        Self::Own(what.to_string())
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use xenbus::ProtocolError;

    fn key(error: StoreError) -> Failure {
        let fault = KeyFault::Store(error);
        let path = String::from("x");
        KeyError { path, fault }.into()
    }

    #[test]
    fn only_an_own_node_that_is_gone_or_another_means_removal() {
        for error in [StoreError::NoEntry, StoreError::Replaced] {
            assert!(Failure::from(error).is_removal());
            assert!(!key(error).is_removal(), "it may be the backend's node");
        }
        assert!(!Failure::from(StoreError::TimedOut).is_removal());
    }

    #[test]
    fn whatever_was_read_a_store_that_is_silent_or_lost_is_known_as_such() {
        let lost = StoreError::Lost(ProtocolError::Closed);
        for failure in [Failure::from(lost), key(lost)] {
            assert!(failure.is_loss() && !failure.is_silence() && !failure.is_absence());
        }
        let silent = StoreError::TimedOut;
        for failure in [Failure::from(silent), key(silent)] {
            assert!(failure.is_silence() && !failure.is_loss() && !failure.is_absence());
        }
        for absent in [StoreError::NoEntry, StoreError::Denied] {
            assert!(key(absent).is_absence());
        }
    }

    #[test]
    fn what_a_driver_says_is_nothing_of_the_store() {
        let own = Failure::own(&"no such node");
        assert!(!own.is_removal() && !own.is_silence() && !own.is_loss() && !own.is_absence());
        assert_eq!(own.to_string(), "no such node");
    }
}
