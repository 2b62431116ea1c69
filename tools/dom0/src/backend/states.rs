//! The backend's part of the handshake (io/xenbus.h, and what Linux's blkback does).

use xen_abi::io::xenbus::XenbusState;

/// What an honest backend does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Offer anew: go to InitWait.
    Offer,
    /// Map the ring and go to Connected.
    Connect,
    /// Let go of the ring and go to this state.
    Close(XenbusState),
}

/// What a backend in state `own` does when its frontend is in state `front`; none if that has no
/// nodes any more.
pub(super) fn next_step(own: XenbusState, front: Option<XenbusState>) -> Step {
    let closing = matches!(own, XenbusState::Closing | XenbusState::Closed);
    match front {
        Some(XenbusState::Initialising) if closing => Step::Offer,
        Some(XenbusState::Initialised | XenbusState::Connected) if own == XenbusState::InitWait => {
            Step::Connect
        }
        Some(XenbusState::Closing) if !closing => Step::Close(XenbusState::Closing),
        Some(XenbusState::Closed) | None if own != XenbusState::Closed => {
            Step::Close(XenbusState::Closed)
        }
        _ => Step::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use XenbusState as S;

    #[test]
    fn a_whole_life() {
        let life = [
            (S::InitWait, S::Initialising, Step::Nothing),
            (S::InitWait, S::Initialised, Step::Connect),
            (S::Connected, S::Initialised, Step::Nothing),
            (S::Connected, S::Connected, Step::Nothing),
            (S::Connected, S::Closing, Step::Close(S::Closing)),
            (S::Closing, S::Closed, Step::Close(S::Closed)),
            (S::Closed, S::Closed, Step::Nothing),
            (S::Closed, S::Initialising, Step::Offer),
        ];
        for (own, front, step) in life {
            assert_eq!(next_step(own, Some(front)), step, "{own} {front}");
        }
    }

    #[test]
    fn a_frontend_without_nodes_is_closed() {
        assert_eq!(next_step(S::Connected, None), Step::Close(S::Closed));
        assert_eq!(next_step(S::Closed, None), Step::Nothing);
    }
}
