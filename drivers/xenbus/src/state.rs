//! The xenbus states, and what each end does next (io/xenbus.h, and the rules of blkif.h).

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
    /// The backend changes what it serves, or has changed it: go along with that, if there is
    /// anything of the kind. Only PCI's does so.
    Reconfigure,
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
        XenbusState::Reconfiguring | XenbusState::Reconfigured => Step::Reconfigure,
        XenbusState::Unknown | XenbusState::Initialised => Step::Wait,
    }
}

/// What a backend does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackStep {
    /// Nothing, until either end changes. A ring that is mapped is served on meanwhile, in Closing
    /// too: the frontend has not said yet that it is done.
    Wait,
    /// Publish what is offered and go to InitWait. libxl waits 10 s for that.
    Offer,
    /// Read what the frontend published, map its ring, publish the properties and go to Connected.
    Connect,
    /// Nothing but serving the ring; the properties that may change in use, as the capacity, are
    /// published by going to Connected once more.
    Serve,
    /// Go to Closing, and serve the ring on: a frontend that says Closing may be in use for as long
    /// as it likes, and says Closed when it is not (Linux's before 5.14 does).
    Close,
    /// Go to Closing, answer what is on the ring, unmap it, then go to Closed. There may be no
    /// ring: a frontend may close before it has ever connected.
    Disconnect,
    /// Go to InitWait for a new connection; what is offered is published again.
    Reopen,
    /// Remove the own directory and forget the device.
    Finish,
}

/// What a backend in state `own` does when its frontend is in state `frontend`, `None` if that has
/// no state node that this domain may read. `online` is the own `online` node: whether the
/// toolstack wants the device to be connected again once it is Closed.
///
/// `own` is what [`Backend::look`](crate::Backend::look) says: Closing also when the toolstack
/// wrote that.
///
/// Every pair has an answer. States may be skipped, repeated and odd at first sight (case B13). A
/// step that is done leads to another pair, or to a wait for somebody else's move. A frontend that
/// stays Connected or Closing keeps this end in Closing: the caller bounds that where it must, and
/// the toolstack by a forced detach; nothing else keeps a backend from being Closed. The own
/// directory is removed only when the device is not online, or nobody is left to be told so
/// (scenario 59).
#[must_use]
pub fn next_back_step(own: XenbusState, frontend: Option<XenbusState>, online: bool) -> BackStep {
    match own {
        XenbusState::Unknown | XenbusState::Initialising => match frontend {
            // A toolstack may make this end first.
            None if online => BackStep::Wait,
            None => BackStep::Disconnect,
            // Whatever it is: the toolstack waits for InitWait, and the next look sees to the rest.
            Some(_) => BackStep::Offer,
        },
        XenbusState::InitWait | XenbusState::Initialised => match frontend {
            None | Some(XenbusState::Closing | XenbusState::Closed) => BackStep::Disconnect,
            Some(XenbusState::Initialised | XenbusState::Connected) => BackStep::Connect,
            Some(_) => BackStep::Wait,
        },
        XenbusState::Connected | XenbusState::Reconfiguring | XenbusState::Reconfigured => {
            match frontend {
                None | Some(XenbusState::Closed) => BackStep::Disconnect,
                Some(XenbusState::Closing) => BackStep::Close,
                // It has started anew: Closing and Closed came and went between two looks.
                Some(XenbusState::Initialising | XenbusState::InitWait) => BackStep::Disconnect,
                Some(_) => BackStep::Serve,
            }
        }
        XenbusState::Closing => match frontend {
            // It may have writes outstanding, and more to come (scenario 45), whether it has read
            // our Closing or not. Forced, the toolstack removes its nodes.
            Some(
                XenbusState::Connected
                | XenbusState::Closing
                | XenbusState::Reconfiguring
                | XenbusState::Reconfigured,
            ) => BackStep::Wait,
            // It is done, or was never live.
            _ => BackStep::Disconnect,
        },
        XenbusState::Closed => match frontend {
            None => BackStep::Finish,
            Some(_) if !online => BackStep::Finish,
            // The last of these was in a hurry: it was Closed and has published anew before this
            // end was Closed.
            Some(XenbusState::Initialising | XenbusState::InitWait | XenbusState::Initialised) => {
                BackStep::Reopen
            }
            // One that is still up has not read our Closed; to connect to it at once could go on
            // for ever.
            Some(_) => BackStep::Wait,
        },
    }
}

/// The state that a backend begins with which finds `stored` in its own node: nothing is mapped, so
/// a former life's connection is closed first, and a former life's offer is made again.
pub(crate) fn at_open(stored: XenbusState) -> XenbusState {
    match stored {
        XenbusState::Unknown | XenbusState::Initialising | XenbusState::InitWait => {
            XenbusState::Initialising
        }
        XenbusState::Closed => XenbusState::Closed,
        XenbusState::Initialised
        | XenbusState::Connected
        | XenbusState::Closing
        | XenbusState::Reconfiguring
        | XenbusState::Reconfigured => XenbusState::Closing,
    }
}

/// The state of a backend that left its node in state `own` and now finds `stored` there; `None`
/// when that is another device's. The toolstack makes a device in Initialising, and asks for its
/// end by writing Closing; whatever else it writes changes nothing.
pub(crate) fn heed(own: XenbusState, stored: XenbusState) -> Option<XenbusState> {
    match (own, stored) {
        (XenbusState::Initialising, XenbusState::Initialising) => Some(own),
        (_, XenbusState::Initialising) => None,
        (_, XenbusState::Closing) => Some(XenbusState::Closing),
        (XenbusState::Closing | XenbusState::Closed, XenbusState::Closed) => Some(own),
        // Without the Closing that it should have written first.
        (_, XenbusState::Closed) => Some(XenbusState::Closing),
        _ => Some(own),
    }
}
