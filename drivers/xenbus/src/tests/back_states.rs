use std::collections::{BTreeMap, BTreeSet};

use crate::state::{BackStep, Step, XenbusState, at_open, heed, next_back_step, next_step};

/// The frontend's states as a backend can see them.
fn seen() -> impl Iterator<Item = Option<XenbusState>> {
    [None].into_iter().chain(XenbusState::ALL.map(Some))
}

/// The state in which a backend is after `step`.
fn after(own: XenbusState, step: BackStep) -> Option<XenbusState> {
    match step {
        BackStep::Wait | BackStep::Serve => Some(own),
        BackStep::Offer | BackStep::Reopen => Some(XenbusState::InitWait),
        BackStep::Connect => Some(XenbusState::Connected),
        BackStep::Close => Some(XenbusState::Closing),
        BackStep::Disconnect => Some(XenbusState::Closed),
        BackStep::Finish => None,
    }
}

#[test]
fn every_pair_has_the_step_of_the_table() {
    // Columns: gone, Unknown, Initialising, InitWait, Initialised, Connected, Closing, Closed,
    // Reconfiguring, Reconfigured; first those of a device that is online.
    let rows = [
        (XenbusState::Unknown, "WOOOOOOOOO", "DOOOOOOOOO"),
        (XenbusState::Initialising, "WOOOOOOOOO", "DOOOOOOOOO"),
        (XenbusState::InitWait, "DWWWCCDDWW", "DWWWCCDDWW"),
        (XenbusState::Initialised, "DWWWCCDDWW", "DWWWCCDDWW"),
        (XenbusState::Connected, "DSDDSSLDSS", "DSDDSSLDSS"),
        (XenbusState::Closing, "DDDDDWWDWW", "DDDDDWWDWW"),
        (XenbusState::Closed, "FWRRRWWWWW", "FFFFFFFFFF"),
        (XenbusState::Reconfiguring, "DSDDSSLDSS", "DSDDSSLDSS"),
        (XenbusState::Reconfigured, "DSDDSSLDSS", "DSDDSSLDSS"),
    ];
    assert_eq!(rows.map(|(own, _, _)| own), XenbusState::ALL);
    let letter = |step| match step {
        BackStep::Wait => 'W',
        BackStep::Offer => 'O',
        BackStep::Connect => 'C',
        BackStep::Serve => 'S',
        BackStep::Close => 'L',
        BackStep::Disconnect => 'D',
        BackStep::Reopen => 'R',
        BackStep::Finish => 'F',
    };
    for (own, online, offline) in rows {
        for (online, expected) in [(true, online), (false, offline)] {
            let row: String = seen()
                .map(|frontend| letter(next_back_step(own, frontend, online)))
                .collect();
            assert_eq!(row, expected, "{own} {online}");
        }
    }
}

#[test]
fn b13_no_pair_keeps_a_backend_busy_by_itself() {
    // A hostile frontend that leaves its state alone gets four steps out of a backend at most.
    for own in XenbusState::ALL {
        for frontend in seen() {
            for online in [false, true] {
                let mut state = Some(own);
                for _ in 0..4 {
                    state = state.and_then(|s| after(s, next_back_step(s, frontend, online)));
                }
                let rests = state.is_none_or(|state| {
                    let step = next_back_step(state, frontend, online);
                    matches!(step, BackStep::Wait | BackStep::Serve)
                });
                assert!(rests, "{own} {frontend:?} {online}");
            }
        }
    }
}

#[test]
fn l16_every_pair_has_an_exit() {
    for own in XenbusState::ALL {
        // The frontend is closed, or goes away; the toolstack wants no more.
        for frontend in [None, Some(XenbusState::Closed)] {
            let mut state = Some(own);
            for _ in 0..4 {
                state = state.and_then(|s| after(s, next_back_step(s, frontend, false)));
            }
            assert_eq!(state, None, "{own} {frontend:?}");
        }
    }
}

#[test]
fn l16_only_a_frontend_that_is_up_or_closing_keeps_a_backend_in_closing() {
    let keep = [
        XenbusState::Connected,
        XenbusState::Closing,
        XenbusState::Reconfiguring,
        XenbusState::Reconfigured,
    ];
    for frontend in seen() {
        let step = next_back_step(XenbusState::Closing, frontend, false);
        let expected = match frontend {
            Some(frontend) if keep.contains(&frontend) => BackStep::Wait,
            _ => BackStep::Disconnect,
        };
        assert_eq!(step, expected, "{frontend:?}");
    }
}

#[test]
fn s59_the_directory_stays_while_somebody_may_come_back() {
    for own in XenbusState::ALL {
        for frontend in seen().flatten() {
            let step = next_back_step(own, Some(frontend), true);
            assert_ne!(step, BackStep::Finish, "{own} {frontend}");
        }
    }
}

#[test]
fn s59_a_close_before_the_first_connection_is_answered_and_may_be_undone() {
    let mut own = XenbusState::Initialising;
    let script = [
        (XenbusState::Initialising, BackStep::Offer),
        (XenbusState::Closing, BackStep::Disconnect),
        (XenbusState::Closed, BackStep::Wait),
        (XenbusState::Initialising, BackStep::Reopen),
        (XenbusState::Initialised, BackStep::Connect),
        (XenbusState::Connected, BackStep::Serve),
    ];
    for (frontend, expected) in script {
        let step = next_back_step(own, Some(frontend), true);
        assert_eq!(step, expected, "{own} {frontend}");
        own = after(own, step).unwrap();
    }
}

#[test]
fn s45_a_frontend_that_is_still_up_is_served_in_closing() {
    // Linux before 5.14 says Closing when it is asked to close, and goes on while it is in use.
    for up in [XenbusState::Connected, XenbusState::Closing] {
        assert_eq!(
            next_back_step(XenbusState::Closing, Some(up), false),
            BackStep::Wait
        );
    }
    for done in [Some(XenbusState::Closed), None] {
        assert_eq!(
            next_back_step(XenbusState::Closing, done, false),
            BackStep::Disconnect
        );
    }
}

#[test]
fn b13_a_frontend_connects_only_to_an_offer() {
    for own in XenbusState::ALL {
        for frontend in seen() {
            if next_back_step(own, frontend, true) == BackStep::Connect {
                let offered = [XenbusState::InitWait, XenbusState::Initialised];
                assert!(offered.contains(&own), "{own}");
                let ready = [XenbusState::Initialised, XenbusState::Connected].map(Some);
                assert!(ready.contains(&frontend), "{frontend:?}");
            }
        }
    }
}

/// The two ends of this crate's own making, each at any moment between two looks.
type Pair = (XenbusState, XenbusState);

/// Where a move of either end leads.
fn moves((front, back): Pair, online: bool) -> Vec<Pair> {
    let mut next = Vec::new();
    let step = next_step(front, Some(back), online);
    let fronts = match step {
        Step::Publish => vec![XenbusState::Initialised],
        Step::GoLive => vec![XenbusState::Connected],
        // Some frontends say Closing first, some do not.
        Step::Drain => vec![XenbusState::Closing, XenbusState::Closed],
        Step::Abandon => vec![XenbusState::Closed],
        Step::Reset => vec![XenbusState::Closing],
        Step::Restart => vec![XenbusState::Initialising],
        Step::Wait | Step::Reread | Step::Reconfigure | Step::Vanished => vec![],
    };
    next.extend(fronts.into_iter().map(|front| (front, back)));
    let backs = match next_back_step(back, Some(front), online) {
        BackStep::Disconnect if back != XenbusState::Closing => {
            vec![XenbusState::Closing, XenbusState::Closed]
        }
        BackStep::Disconnect => vec![XenbusState::Closed],
        step => after(back, step).into_iter().collect(),
    };
    next.extend(backs.into_iter().map(|back| (front, back)));
    next.retain(|pair| *pair != (front, back));
    next
}

/// Whether `from` can still come to `goal`, for every pair that can be reached from it.
fn always_comes_to(from: Pair, online: bool, goal: impl Fn(Pair) -> bool) -> bool {
    let mut graph: BTreeMap<[u32; 2], (Pair, Vec<Pair>)> = BTreeMap::new();
    let key = |(front, back): Pair| [front.number(), back.number()];
    let mut frontier = vec![from];
    while let Some(pair) = frontier.pop() {
        graph.entry(key(pair)).or_insert_with(|| {
            let next = moves(pair, online);
            frontier.extend(&next);
            (pair, next)
        });
    }
    let mut good: BTreeSet<_> = graph
        .iter()
        .filter(|(_, (pair, _))| goal(*pair))
        .map(|(key, _)| *key)
        .collect();
    loop {
        let before = good.len();
        for (node, (_, next)) in &graph {
            if next.iter().any(|pair| good.contains(&key(*pair))) {
                good.insert(*node);
            }
        }
        if good.len() == before {
            return good.len() == graph.len();
        }
    }
}

#[test]
fn l16_the_two_ends_of_this_crate_connect_from_every_pair() {
    let up = |pair| pair == (XenbusState::Connected, XenbusState::Connected);
    // No frontend puts itself in Unknown: that is what text that names no state counts as.
    for front in XenbusState::ALL.into_iter().skip(1) {
        for back in XenbusState::ALL.map(at_open) {
            assert!(always_comes_to((front, back), true, up), "{front} {back}");
        }
    }
}

#[test]
fn l16_the_two_ends_of_this_crate_part_from_every_pair() {
    // What libxl writes: Closing, and no longer online.
    for front in XenbusState::ALL {
        let parted = |(_, back)| back == XenbusState::Closed;
        let asked = (front, XenbusState::Closing);
        assert!(always_comes_to(asked, false, parted), "{front}");
    }
}

#[test]
fn the_toolstack_s_closing_is_heeded_and_a_new_device_is_told_apart() {
    for own in XenbusState::ALL {
        let stored = heed(own, XenbusState::Initialising);
        let still = own == XenbusState::Initialising;
        assert_eq!(stored, still.then_some(own), "{own}");
        let closing = Some(XenbusState::Closing);
        assert_eq!(heed(own, XenbusState::Closing), closing, "{own}");
        assert_eq!(heed(own, own), Some(own));
    }
    for odd in [XenbusState::Unknown, XenbusState::Connected] {
        let own = XenbusState::InitWait;
        assert_eq!(heed(own, odd), Some(own), "nobody else connects us");
    }
    let closed = XenbusState::Closed;
    assert_eq!(heed(closed, closed), Some(closed));
    assert_eq!(
        heed(XenbusState::Connected, closed),
        Some(XenbusState::Closing)
    );
}

#[test]
fn a_former_life_s_connection_is_closed_first() {
    let first = XenbusState::ALL.map(|stored| at_open(stored).number());
    assert_eq!(first, [1, 1, 1, 5, 5, 5, 6, 5, 5]);
}
