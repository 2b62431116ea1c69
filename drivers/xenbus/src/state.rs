//! The xenbus states, and what a frontend does next (io/xenbus.h, and the rules of blkif.h).

pub use xen_abi::io::xenbus::XenbusState;

use crate::number;

/// The state that a `state` node holds; text that names none counts as
/// [`Unknown`](XenbusState::Unknown).
#[must_use]
pub fn parse(text: &str) -> XenbusState {
    let number = number::parse::<u64>(text).ok();
    number
        .and_then(XenbusState::from_number)
        .unwrap_or(XenbusState::Unknown)
}

/// What a frontend does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until the backend's state changes or a deadline comes.
    Wait,
    /// Read what the backend offers, publish the ring and go to Initialised.
    Publish,
    /// Read the backend's properties and go to Connected.
    GoLive,
    /// Read the properties again that may change in use: the capacity.
    Reread,
    /// Refuse new work, wait for the answers to what is outstanding, then go to Closed.
    Drain,
    /// The backend serves no more: fail what is outstanding at once, then go to Closed.
    Abandon,
    /// The backend still serves a former life of this domain: go to Closing and then to Closed,
    /// wait for it to be Closed, then go to Initialising.
    Reset,
    /// Go to Initialising: the backend is ready for a new connection.
    Restart,
    /// The backend's nodes are gone, and with them the device: fail what is outstanding at once and
    /// write no more.
    Vanished,
}

/// What a frontend in state `own` does when its backend is in state `backend`, `None` if that has
/// no state node. `online` is the backend's `online` node: whether it wants to be connected to
/// again.
///
/// Every pair has an answer, and whatever `own` is, a backend that is Closed or gone ends it.
/// States may be skipped, repeated and odd at first sight.
#[must_use]
pub fn next_step(own: XenbusState, backend: Option<XenbusState>, online: bool) -> Step {
    let Some(backend) = backend else {
        return Step::Vanished;
    };
    match own {
        XenbusState::Unknown | XenbusState::Initialising | XenbusState::InitWait => {
            before_publishing(backend, online)
        }
        XenbusState::Initialised => match backend {
            XenbusState::Connected => Step::GoLive,
            XenbusState::Closing | XenbusState::Closed => Step::Abandon,
            _ => Step::Wait,
        },
        XenbusState::Connected | XenbusState::Reconfiguring | XenbusState::Reconfigured => {
            in_use(backend)
        }
        XenbusState::Closing => match backend {
            XenbusState::Closed => Step::Abandon,
            // Linux's backend answers Closing with Closing, and then waits for Closed. Nothing is
            // outstanding: what was is failed before a frontend of ours goes to Closing.
            XenbusState::Closing => Step::Abandon,
            // It has forgotten the ring: no answer will come.
            XenbusState::Initialising | XenbusState::InitWait => Step::Abandon,
            _ => Step::Wait,
        },
        XenbusState::Closed => match backend {
            XenbusState::Closed | XenbusState::InitWait if online => Step::Restart,
            _ => Step::Wait,
        },
    }
}

fn before_publishing(backend: XenbusState, online: bool) -> Step {
    match backend {
        XenbusState::InitWait | XenbusState::Initialised => Step::Publish,
        // Nothing was published in this life, so it is connected to a former one.
        XenbusState::Connected => Step::Reset,
        XenbusState::Closed if online => Step::Wait,
        XenbusState::Closing | XenbusState::Closed => Step::Abandon,
        XenbusState::Unknown
        | XenbusState::Initialising
        | XenbusState::Reconfiguring
        | XenbusState::Reconfigured => Step::Wait,
    }
}

fn in_use(backend: XenbusState) -> Step {
    match backend {
        XenbusState::Connected => Step::Reread,
        XenbusState::Closing => Step::Drain,
        // Closed, or started anew without a word.
        XenbusState::Closed | XenbusState::Initialising | XenbusState::InitWait => Step::Abandon,
        XenbusState::Unknown
        | XenbusState::Initialised
        | XenbusState::Reconfiguring
        | XenbusState::Reconfigured => Step::Wait,
    }
}
