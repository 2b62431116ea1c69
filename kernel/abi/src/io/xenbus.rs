//! `io/xenbus.h`: the states of a device's two ends.

use core::fmt;

/// `enum xenbus_state`: what one end of a device says in its xenstore node `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum XenbusState {
    /// No state: what a missing node means.
    Unknown = 0,
    /// Just made.
    Initialising = 1,
    /// Early initialisation is done; waits for the peer or for hotplug scripts.
    InitWait = 2,
    /// Waits for the peer to connect.
    Initialised = 3,
    /// In use.
    Connected = 4,
    /// Being closed, by an error or an unplug.
    Closing = 5,
    /// Closed.
    Closed = 6,
    /// Being reconfigured.
    Reconfiguring = 7,
    /// Reconfigured.
    Reconfigured = 8,
}

impl XenbusState {
    /// Every state, at the index that is its number.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Initialising,
        Self::InitWait,
        Self::Initialised,
        Self::Connected,
        Self::Closing,
        Self::Closed,
        Self::Reconfiguring,
        Self::Reconfigured,
    ];

    /// The state with this number; `None` for numbers that name none.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The number that stands in xenstore.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }
}

/// The header's name without its prefix.
impl fmt::Display for XenbusState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_found_by_its_number() {
        for state in XenbusState::ALL {
            assert_eq!(
                XenbusState::from_number(u64::from(state.number())),
                Some(state)
            );
        }
        assert_eq!(XenbusState::from_number(9), None);
        assert_eq!(XenbusState::from_number(u64::MAX), None);
    }
}
