//! A frontend of the plainest kind: what the life of a device asks of any driver, and when.
//!
//! The backend is the test's hand in the store.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

mod driver;
mod stage;

use std::time::Duration;

use stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_device_is_published_goes_live_and_leaves_with_its_nodes() {
    let stage = Stage::new();
    assert_eq!(stage.calls(), ["make"]);
    assert!(!stage.is_settled());
    stage.backend("2");
    assert_eq!(stage.calls(), ["publish"]);
    assert_eq!(stage.own_state(), "3");
    assert!(!stage.is_settled());
    stage.backend("4");
    assert_eq!(stage.calls(), ["go live"]);
    assert!(stage.is_settled());
    stage.remove();
    assert_eq!(stage.calls(), ["leave", "gone"]);
}

#[test]
fn a_driver_that_publishes_connected_goes_live_only_when_its_backend_is() {
    let stage = Stage::new();
    stage.knobs.publishes_connected.set(true);
    stage.backend("2");
    assert_eq!(stage.own_state(), "4");
    assert_eq!(stage.calls(), ["make", "publish"]);
    assert!(!stage.is_settled());
    stage.backend("4");
    assert_eq!(stage.calls(), ["go live"]);
    let reread = stage.knobs.rereads.get();
    // It says so once more.
    stage.backend("4");
    assert_eq!(stage.calls(), [""; 0]);
    assert!(stage.knobs.rereads.get() > reread);
}

#[test]
fn a_backend_that_closes_is_left_when_nothing_is_outstanding() {
    let stage = Stage::live();
    stage.knobs.outstanding.set(true);
    stage.backend("5");
    assert_eq!(stage.calls(), ["refuse"]);
    assert_eq!(stage.own_state(), "4");
    stage.pass(4 * SECOND);
    stage.knobs.answer();
    stage.pass(Duration::ZERO);
    assert_eq!(stage.calls(), ["leave"]);
    assert_eq!(stage.own_state(), "6");
}

#[test]
fn what_is_outstanding_is_awaited_for_five_seconds_and_no_longer() {
    let stage = Stage::live();
    stage.knobs.outstanding.set(true);
    stage.backend("5");
    stage.pass(4 * SECOND);
    assert_eq!(stage.calls(), ["refuse"]);
    stage.pass(2 * SECOND);
    assert_eq!(stage.calls(), ["leave"]);
    assert_eq!(stage.own_state(), "6");
}

#[test]
fn a_device_that_is_taken_away_while_it_drains_leaves_at_once_and_once() {
    let stage = Stage::live();
    stage.knobs.outstanding.set(true);
    stage.backend("5");
    stage.remove();
    assert_eq!(stage.calls(), ["refuse", "leave", "gone"]);
    stage.pass(20 * SECOND);
    assert_eq!(stage.calls(), [""; 0]);
}

#[test]
fn a_fault_in_use_ends_the_device_until_it_is_made_anew() {
    let stage = Stage::live();
    stage.knobs.fail();
    stage.pass(Duration::ZERO);
    assert_eq!(stage.calls(), ["leave"]);
    assert_eq!(stage.own_state(), "5");
    assert!(stage.error().contains("it lies"));
    // Whatever its backend does now.
    for state in ["6", "2", "4", "5", "6"] {
        stage.backend(state);
    }
    stage.pass(60 * SECOND);
    assert_eq!(stage.calls(), [""; 0]);
    stage.make();
    stage.pass(SECOND);
    stage.backend("2");
    assert_eq!(stage.calls(), ["gone", "make", "publish"]);
}

#[test]
fn a_fault_before_a_device_is_live_lets_go_of_it_and_of_who_waits() {
    let stage = Stage::new();
    stage.backend("2");
    stage.knobs.goes_live.set(false);
    stage.backend("4");
    assert_eq!(stage.calls(), ["make", "publish", "go live", "leave"]);
    assert!(stage.is_settled());
    assert!(stage.error().contains("not to be used"));
}

#[test]
fn what_is_put_off_keeps_nobody_waiting_and_is_tried_again() {
    let stage = Stage::new();
    stage.knobs.puts_off.set(true);
    stage.backend("2");
    assert_eq!(stage.calls(), ["make", "publish"]);
    assert_eq!(stage.own_state(), "1");
    assert!(stage.is_settled());
    stage.pass(9 * SECOND);
    assert_eq!(stage.calls(), [""; 0]);
    stage.pass(2 * SECOND);
    assert_eq!(stage.calls(), ["publish"]);
    stage.knobs.puts_off.set(false);
    stage.pass(10 * SECOND);
    stage.backend("4");
    assert_eq!(stage.calls(), ["publish", "go live"]);
}

#[test]
fn a_backend_that_opens_and_closes_for_ever_is_met_ever_more_rarely() {
    let stage = Stage::new();
    let mut connections = 0;
    let end = stage.now().after(60 * SECOND);
    while stage.now() < end {
        let state = match stage.own_state().as_str() {
            "1" => "2",
            "3" => "4",
            "4" => "5",
            "6" => "6",
            other => panic!("it is in state {other}"),
        };
        stage.backend(state);
        stage.pass(Duration::from_millis(5));
        let live = |call: &&String| *call == "go live";
        connections += stage.calls().iter().filter(live).count();
    }
    assert!((10..20).contains(&connections), "{connections}");
}

#[test]
fn a_connection_that_lasted_is_followed_by_the_next_at_once() {
    let stage = Stage::live();
    for _ in 0..20 {
        stage.pass(31 * SECOND);
        for state in ["5", "6"] {
            stage.backend(state);
        }
        assert_eq!(stage.own_state(), "1");
        for state in ["2", "4"] {
            stage.backend(state);
        }
        assert_eq!(stage.calls(), ["refuse", "leave", "publish", "go live"]);
    }
}

#[test]
fn a_former_life_is_closed_before_anything_is_published() {
    let stage = Stage::found("4", "4");
    stage.pass(SECOND);
    assert_eq!(stage.own_state(), "5");
    stage.backend("6");
    assert_eq!(stage.calls(), ["make"]);
    stage.pass(SECOND);
    stage.backend("2");
    assert_eq!(stage.own_state(), "3");
    assert_eq!(stage.calls(), ["publish"]);
}

#[test]
fn a_backend_that_does_not_connect_is_complained_of_after_a_while() {
    let stage = Stage::new();
    stage.backend("2");
    stage.pass(19 * SECOND);
    assert!(!stage.is_settled());
    stage.pass(2 * SECOND);
    assert!(stage.is_settled());
    stage.pass(60 * SECOND);
    assert_eq!(stage.logged("does not connect"), 1);
    stage.backend("4");
    assert_eq!(stage.calls(), ["make", "publish", "go live"]);
}

#[test]
fn f24_without_the_store_an_open_device_is_served_until_it_fails() {
    let stage = Stage::live();
    stage.lose_the_store();
    stage.pass(60 * SECOND);
    assert_eq!(stage.calls(), [""; 0]);
    assert_eq!(stage.logged("the thing goes on, and cannot be moved"), 1);
    stage.knobs.fail();
    stage.pass(SECOND);
    assert_eq!(stage.calls(), ["leave", "gone"]);
}

#[test]
fn f24_without_the_store_a_device_that_is_not_open_leaves() {
    let stage = Stage::live();
    stage.knobs.is_open.set(false);
    stage.lose_the_store();
    stage.pass(60 * SECOND);
    assert_eq!(stage.calls(), ["leave", "gone"]);
}

#[test]
fn a_device_in_use_goes_on_while_the_store_is_silent() {
    let stage = Stage::live();
    stage.ask_a_silent_store();
    stage.pass(120 * SECOND);
    assert!(stage.logged("the thing goes on") > 0);
    assert_eq!(stage.calls(), [""; 0]);
    // And is served meanwhile.
    stage.knobs.fail();
    stage.pass(Duration::ZERO);
    assert_eq!(stage.calls(), ["leave"]);
}

#[test]
fn a_device_on_its_way_waits_for_a_store_that_is_silent() {
    let stage = Stage::new();
    stage.silence(true);
    stage.backend("2");
    stage.pass(150 * SECOND);
    assert!(stage.is_settled());
    assert!(stage.logged("the thing waits") > 0);
    stage.silence(false);
    stage.pass(150 * SECOND);
    stage.backend("4");
    let calls = stage.calls();
    assert_eq!(calls[calls.len() - 2..], ["publish", "go live"]);
}

#[test]
fn a_device_that_failed_is_asked_nothing_more() {
    for state in ["4", "5"] {
        let stage = Stage::live();
        // It cannot say that it has failed.
        stage.refuse_commits();
        stage.knobs.fail();
        stage.pass(SECOND);
        assert_eq!(stage.calls(), ["leave"]);
        let rereads = stage.knobs.rereads.get();
        stage.backend(state);
        stage.pass(SECOND);
        assert_eq!(stage.calls(), [""; 0]);
        assert_eq!(stage.knobs.rereads.get(), rereads);
    }
}

#[test]
fn a_device_made_anew_while_its_driver_leaves_gets_another_driver() {
    let stage = Stage::live();
    stage.make();
    stage.pass(SECOND);
    assert_eq!(stage.calls(), ["leave", "gone", "make"]);
    for state in ["2", "4"] {
        stage.backend(state);
    }
    assert_eq!(stage.calls(), ["publish", "go live"]);
    assert_eq!(stage.knobs.drivers.get(), 1, "the former one is gone");
}
