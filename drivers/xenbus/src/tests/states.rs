use std::collections::HashSet;

use crate::state::{Step, XenbusState, next_step, parse};

/// The backend's states as a frontend can see them.
fn seen() -> impl Iterator<Item = Option<XenbusState>> {
    XenbusState::ALL.into_iter().map(Some).chain([None])
}

/// The states in which a frontend may be after `step`, and whether it still has anything to fear.
fn after(own: XenbusState, step: Step) -> Option<XenbusState> {
    match step {
        Step::Wait | Step::Reread | Step::Reconfigure => Some(own),
        Step::Publish => Some(XenbusState::Initialised),
        Step::GoLive => Some(XenbusState::Connected),
        Step::Drain | Step::Reset => Some(XenbusState::Closing),
        Step::Abandon => Some(XenbusState::Closed),
        Step::Restart => Some(XenbusState::Initialising),
        Step::Vanished => None,
    }
}

#[test]
fn a_state_is_one_digit() {
    for state in XenbusState::ALL {
        assert_eq!(parse(&state.number().to_string()), state);
    }
    for odd in [
        "",
        "9",
        "-1",
        "04",
        "4 ",
        "4\0",
        "Connected",
        "18446744073709551616",
    ] {
        assert_eq!(parse(odd), XenbusState::Unknown, "{odd:?}");
    }
}

#[test]
fn l16_a_backend_that_is_closed_or_gone_ends_every_state() {
    for own in XenbusState::ALL {
        assert_eq!(next_step(own, None, false), Step::Vanished);
        let mut state = own;
        for _ in 0..2 {
            state = after(state, next_step(state, Some(XenbusState::Closed), false)).unwrap();
        }
        assert_eq!(state, XenbusState::Closed, "{own}");
    }
}

#[test]
fn l16_no_state_of_the_two_ends_is_a_trap() {
    // From every pair, a backend that goes through the ordinary states brings the frontend to life.
    for own in XenbusState::ALL {
        for first in seen().flatten() {
            let mut state = after(own, next_step(own, Some(first), true)).unwrap();
            let ordinary = [
                XenbusState::Closing,
                XenbusState::Closed,
                XenbusState::Closed,
                XenbusState::InitWait,
                XenbusState::InitWait,
                XenbusState::Connected,
            ];
            for backend in ordinary {
                // A frontend that has drained goes to Closed by itself.
                if state == XenbusState::Closing {
                    state = XenbusState::Closed;
                }
                state = after(state, next_step(state, Some(backend), true)).unwrap();
            }
            assert_eq!(state, XenbusState::Connected, "{own} {first}");
        }
    }
}

#[test]
fn f14_any_order_of_backend_states_is_answered() {
    // Every frontend state reachable by any sequence of backend states.
    let mut reached = HashSet::new();
    let mut frontier = vec![XenbusState::Initialising];
    while let Some(own) = frontier.pop() {
        if reached.insert(own) {
            for backend in seen() {
                for online in [false, true] {
                    frontier.extend(after(own, next_step(own, backend, online)));
                }
            }
        }
    }
    let expected = [
        XenbusState::Initialising,
        XenbusState::Initialised,
        XenbusState::Connected,
        XenbusState::Closing,
        XenbusState::Closed,
    ];
    assert_eq!(reached, HashSet::from(expected));
}

#[test]
fn f14_connected_without_init_wait_and_straight_to_closed() {
    let new = XenbusState::Initialising;
    assert_eq!(
        next_step(new, Some(XenbusState::Connected), true),
        Step::Reset
    );
    assert_eq!(
        next_step(new, Some(XenbusState::Closed), false),
        Step::Abandon
    );
    assert_eq!(next_step(new, Some(XenbusState::Closed), true), Step::Wait);
    assert_eq!(
        next_step(new, Some(XenbusState::Closing), true),
        Step::Abandon
    );
}

#[test]
fn s42_closing_is_drained_and_waited_for() {
    let closing = Some(XenbusState::Closing);
    assert_eq!(
        next_step(XenbusState::Connected, closing, false),
        Step::Drain
    );
    // Linux's backend is Closing when the frontend is, and waits for Closed: so must not both.
    assert_eq!(
        next_step(XenbusState::Closing, closing, false),
        Step::Abandon
    );
}

#[test]
fn s43_closed_or_removed_without_closing_fails_at_once() {
    for own in [XenbusState::Connected, XenbusState::Closing] {
        assert_eq!(
            next_step(own, Some(XenbusState::Closed), false),
            Step::Abandon
        );
        assert_eq!(next_step(own, None, false), Step::Vanished);
    }
}

#[test]
fn s45_a_closed_frontend_waits_for_nothing_but_a_new_start() {
    let own = XenbusState::Closed;
    for backend in seen().flatten() {
        assert_eq!(next_step(own, Some(backend), false), Step::Wait);
    }
    assert_eq!(
        next_step(own, Some(XenbusState::InitWait), true),
        Step::Restart
    );
    assert_eq!(
        next_step(own, Some(XenbusState::Closed), true),
        Step::Restart
    );
}

#[test]
fn s48_a_backend_that_serves_a_former_life_is_reset_first() {
    let steps = [
        (
            XenbusState::Initialising,
            XenbusState::Connected,
            Step::Reset,
        ),
        (XenbusState::Closing, XenbusState::Connected, Step::Wait),
        (XenbusState::Closing, XenbusState::Closing, Step::Abandon),
        (XenbusState::Closing, XenbusState::Closed, Step::Abandon),
        (XenbusState::Closed, XenbusState::Closed, Step::Restart),
        (
            XenbusState::Initialising,
            XenbusState::InitWait,
            Step::Publish,
        ),
        (
            XenbusState::Initialised,
            XenbusState::Connected,
            Step::GoLive,
        ),
    ];
    for (own, backend, step) in steps {
        assert_eq!(next_step(own, Some(backend), true), step, "{own} {backend}");
    }
}

#[test]
fn s53_connected_once_more_is_a_new_capacity() {
    let connected = XenbusState::Connected;
    assert_eq!(next_step(connected, Some(connected), true), Step::Reread);
}
