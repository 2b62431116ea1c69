//! Frontends and toolstacks that go through the states of xenbus in ways of their own.

use std::time::Duration;

use hv::{Access, DomId};
use sim::blkback::request::{OKAY, READ};
use sim::exports::DRIVER;
use sim::frontend::{Ask, whole};
use sim::{Exports, Neighbours};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn s45_a_frontend_that_says_closing_in_use_is_served_until_it_says_closed() {
    let scene = Neighbours::connected(1);
    let (exports, peer) = (&scene.exports, &scene.peer);
    // What Linux before 5.14 does with a disk that is mounted.
    let detach = exports.toolstack.detach(peer.vbd(), false);
    exports.until("it is asked to close", || peer.backend_state() == Some(5));
    peer.set_state(5);
    for _ in 0..3 {
        exports.run_for(5 * SECOND);
        scene.peer_is_served();
    }
    assert!(detach.outcome().is_some_and(|outcome| outcome.is_err()));
    // It is unmounted.
    peer.set_state(6);
    exports.until("the export is gone", || peer.backend_state().is_none());
    scene.is_as_before();
}

#[test]
fn a_driver_domain_that_ends_does_not_wait_for_ever_for_clients_that_were_closing() {
    for said in [4, 5] {
        let scene = Neighbours::connected(2);
        let (exports, peer) = (&scene.exports, &scene.peer);
        let _refused = exports.toolstack.detach(peer.vbd(), false);
        exports.until("it is asked to close", || peer.backend_state() == Some(5));
        peer.set_state(said);
        exports.run_for(20 * SECOND);
        scene.peer_is_served();
        let begun = exports.world.now();
        let closed = exports.close();
        exports.until("the driver domain has closed", || closed.borrow().is_some());
        let took = exports.world.now().since(begun);
        assert!(took > 4 * SECOND && took < 12 * SECOND, "{took:?}");
    }
}

#[test]
fn b13_a_frontend_that_publishes_anew_before_the_export_is_closed_is_connected() {
    let scene = Neighbours::connected(3);
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.disk.set_held(true);
    let page = peer.page(Access::ReadWrite, 0);
    peer.ring().submit(&Ask::new(READ, 1, 8, &[whole(&page)]));
    exports.run_for(SECOND);
    peer.set_state(6);
    exports.until("the export closes", || peer.backend_state() == Some(5));
    peer.make_rings(1, 0);
    peer.publish(&[]);
    exports.run_for(SECOND);
    exports.disk.set_held(false);
    exports.until("it is connected", || peer.backend_state() == Some(4));
    let answer = scene.ask(&Ask::new(READ, 2, 8, &[whole(&page)]));
    assert_eq!(answer.status, OKAY);
    scene.is_as_before();
}

#[test]
fn a_detach_ends_the_wait_of_an_export_that_was_closed_before() {
    let exports = Exports::new(4);
    let peer = exports.peer(2, "ram0");
    exports.connect(&peer);
    peer.set_state(6);
    exports.until("the export is Closed", || peer.backend_state() == Some(6));
    exports.disk.pull();
    peer.set_state(1);
    exports.run_for(SECOND);
    // The toolstack does not write Closing to what is Closed already (libxl_device.c,
    // libxl__initiate_device_generic_remove).
    let detach = exports.toolstack.detach(peer.vbd(), false);
    exports.detached(&detach);
    let took = detach.outcome().and_then(Result::ok);
    assert!(took.is_some_and(|took| took < 2 * SECOND), "{took:?}");
}

#[test]
fn x06_a_frontend_that_says_closing_and_closes_its_ports_is_let_go() {
    // What Linux does whose disk could not be made: `xenbus_dev_fatal`, then `blkif_free`.
    let scene = Neighbours::connected(5);
    let (exports, peer) = (&scene.exports, &scene.peer);
    peer.set_state(5);
    exports.until("the export closes", || peer.backend_state() == Some(5));
    scene.peer_is_served();
    peer.drop_rings();
    exports.until("the export is Closed", || peer.backend_state() == Some(6));
    assert_eq!(exports.world.usage(DomId(2)).mapped_by_peers, 0);
    scene.is_as_before();
}

#[test]
fn a_driver_domain_that_ends_does_not_wait_for_who_comes_to_a_lost_provider() {
    let exports = Exports::new(6);
    let peer = exports.peer(2, "ram0");
    exports.until("the offer", || peer.backend_state() == Some(2));
    exports.disk.pull();
    exports.run_for(SECOND);
    peer.make_rings(1, 0);
    peer.publish(&[]);
    exports.run_for(SECOND);
    assert_eq!(peer.backend_state(), Some(2));
    let closed = exports.close();
    exports.until("the driver domain has closed", || closed.borrow().is_some());
}

#[test]
fn f24_a_driver_domain_without_a_store_ends_and_answers_first() {
    let scene = Neighbours::connected(7);
    let (exports, peer) = (&scene.exports, &scene.peer);
    let waiting = exports.peer(3, "none0");
    exports.toolstack.store().break_off(DRIVER);
    exports.run_for(60 * SECOND);
    scene.peer_is_served();
    exports.disk.set_latency(Duration::from_millis(20));
    let page = peer.page(Access::ReadWrite, 0);
    peer.ring().submit(&Ask::new(READ, 1, 8, &[whole(&page)]));
    let closed = exports.close();
    exports.until("the driver domain has closed", || closed.borrow().is_some());
    assert_eq!(peer.ring().take().map(|answer| answer.status), Some(OKAY));
    drop(waiting);
}
