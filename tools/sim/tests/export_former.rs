//! Frontends that leave as Linux's does: it says that it is Closed, or finds its directory removed,
//! with requests in the ring and more queued behind it, which it puts into the ring at the next
//! event; and it waits for the answers to them all before it closes its port. In domain 0 it does
//! so in the thread that sees to every xenbus device, so one answer that never comes wedges the
//! host.

use std::cell::Cell;
use std::time::Duration;

use hv::{Access, DomId};
use pv::Granted;
use sim::blkback::request::{ERROR, OKAY, READ};
use sim::frontend::{Ask, whole};
use sim::{Dom, Exports, Frontend, Neighbours};

const SECOND: Duration = Duration::from_secs(1);
const PEER: DomId = DomId(2);
/// Requests that a ring of one page has room for.
const RING: u32 = 32;

/// A frontend with requests queued.
struct Linux<'a> {
    peer: &'a Frontend,
    page: Granted<Dom>,
    queued: Cell<u32>,
    refused: Cell<u32>,
}

impl<'a> Linux<'a> {
    /// Has the ring full, and `queued` requests more.
    fn new(peer: &'a Frontend, queued: u32) -> Self {
        let linux = Self {
            peer,
            page: peer.page(Access::ReadWrite, 0),
            queued: Cell::new(RING + queued),
            refused: Cell::new(0),
        };
        linux.fill();
        linux
    }

    fn fill(&self) {
        let ring = self.peer.ring();
        while self.queued.get() > 0 && ring.outstanding() < RING {
            self.queued.set(self.queued.get() - 1);
            ring.put(&Ask::new(READ, 1, 8, &[whole(&self.page)]));
        }
        ring.publish();
        ring.notify();
    }

    /// Its interrupt handler: it runs at an event and at nothing else. Says whether all was
    /// answered.
    fn has_its_answers(&self) -> bool {
        let ring = self.peer.ring();
        if ring.take_event() {
            for answer in ring.take_all() {
                assert!(matches!(answer.status, OKAY | ERROR));
                let refused = u32::from(answer.status == ERROR);
                self.refused.set(self.refused.get() + refused);
            }
            self.fill();
        }
        self.queued.get() == 0 && ring.outstanding() == 0
    }

    fn gets_its_answers(&self, exports: &Exports) {
        exports.until("every request is answered", || self.has_its_answers());
    }
}

#[test]
fn x06_a_detach_of_a_disk_in_use_leaves_no_request_without_answer() {
    for force in [false, true] {
        for seed in 0..40 {
            let scene = Neighbours::connected(seed);
            let (exports, peer) = (&scene.exports, &scene.peer);
            let rng = exports.world.rng();
            exports
                .disk
                .set_latency(Duration::from_micros(rng.below(2000)));
            let linux = Linux::new(peer, 100);
            exports.run_for(Duration::from_micros(rng.below(2000)));
            let detach = exports.toolstack.detach(peer.vbd(), force);
            if !force {
                exports.until("the backend closes", || peer.backend_state() == Some(5));
                peer.set_state(6);
            }
            // Its interrupts are late.
            exports.run_for(Duration::from_micros(rng.below(20_000)));
            linux.gets_its_answers(exports);
            exports.detached(&detach);
            let took = detach.outcome().expect("an outcome").expect("detached");
            assert!(took < 2 * SECOND, "seed {seed}: {took:?}");
            exports.disk.set_latency(Duration::ZERO);
            scene.is_as_before();
        }
    }
}

#[test]
fn x06_what_comes_when_the_export_is_closed_is_answered_with_errors() {
    let scene = Neighbours::connected(1);
    let (exports, peer) = (&scene.exports, &scene.peer);
    peer.set_state(6);
    exports.until("the export is Closed", || peer.backend_state() == Some(6));
    // The disk is somebody else's now.
    let other = Exports::xvda(7);
    let _client = exports.guest(7);
    exports.attach(&other, "ram0");
    exports.run_for(3 * SECOND);
    let linux = Linux::new(peer, 100);
    linux.gets_its_answers(exports);
    assert_eq!(linux.refused.get(), RING + 100);
    exports.detach(&other);
    scene.is_as_before();
}

#[test]
fn a_frontend_is_sent_an_event_before_it_is_let_go() {
    for force in [false, true] {
        let scene = Neighbours::connected(2);
        let (exports, peer) = (&scene.exports, &scene.peer);
        let linux = Linux::new(peer, 0);
        linux.gets_its_answers(exports);
        // What it queues now waits for an event, and nothing is in the ring to cause one.
        linux.queued.set(3);
        let _late = exports.toolstack.detach(peer.vbd(), force);
        peer.set_state(6);
        linux.gets_its_answers(exports);
        scene.is_as_before();
    }
}

#[test]
fn a_frontend_that_does_not_let_go_is_let_go_after_a_minute() {
    let scene = Neighbours::connected(3);
    let (exports, peer) = (&scene.exports, &scene.peer);
    let before = exports.driver.holdings(&exports.toolstack);
    let linux = Linux::new(peer, 0);
    exports.detached(&exports.toolstack.detach(peer.vbd(), true));
    linux.gets_its_answers(exports);
    exports.run_for(55 * SECOND);
    assert_eq!(exports.world.usage(PEER).mapped_by_peers, 1);
    // However much it asks for.
    linux.queued.set(1000);
    linux.fill();
    exports.run_for(6 * SECOND);
    assert_eq!(exports.world.usage(PEER).mapped_by_peers, 0);
    let after = exports.driver.holdings(&exports.toolstack);
    assert_eq!(after.xen.ports, before.xen.ports - 1);
    scene.is_as_before();
}

#[test]
fn c12_connections_that_are_not_let_go_of_do_not_add_up() {
    let scene = Neighbours::new(4);
    let (exports, peer) = (&scene.exports, &scene.peer);
    let mut kept = Vec::new();
    for _ in 0..20 {
        exports.connect(peer);
        kept.push(peer.ring());
        peer.set_state(6);
        exports.until("the export is Closed", || peer.backend_state() == Some(6));
        peer.set_state(1);
        assert!(exports.world.usage(PEER).mapped_by_peers <= 1);
    }
    drop(kept);
    scene.is_as_before();
}

#[test]
fn a_device_that_is_made_anew_is_connected_with_the_port_and_the_ring_of_before() {
    let scene = Neighbours::connected(10);
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.detached(&exports.toolstack.detach(peer.vbd(), true));
    exports.run_for(SECOND);
    assert_eq!(exports.world.usage(PEER).mapped_by_peers, 1, "the ring");
    exports.attach(peer.vbd(), "ram0");
    exports.until("the offer", || peer.backend_state() == Some(2));
    peer.publish(&[]);
    exports.until("it is connected", || peer.backend_state() == Some(4));
    assert_eq!(exports.world.usage(PEER).mapped_by_peers, 1);
    scene.is_as_before();
}

#[test]
fn a_driver_domain_that_crashes_answers_a_client_that_was_just_detached() {
    let scene = Neighbours::connected(11);
    let (exports, peer) = (&scene.exports, &scene.peer);
    let linux = Linux::new(peer, 3);
    linux.gets_its_answers(exports);
    exports.detached(&exports.toolstack.detach(peer.vbd(), true));
    let blkback = exports.driver.blkback.clone().expect("it has a backend");
    assert_eq!(blkback.exports().len(), 1, "the good client's");
    linux.queued.set(3);
    linux.fill();
    // From here on nothing of the driver domain runs but this.
    assert!(blkback.last_words());
    assert_eq!(peer.ring().take_all().len(), 3);
    assert!(!blkback.last_words());
}

#[test]
fn a_driver_domain_that_crashes_answers_what_a_client_still_asks_that_hears_of_it() {
    let exports = Exports::new(12);
    let peer = exports.peer(2, "ram0");
    exports.connect(&peer);
    let blkback = exports.driver.blkback.clone().expect("it has a backend");
    let linux = Linux::new(&peer, 100);
    exports.world.halt_domain(sim::exports::DRIVER);
    let store = exports.driver.store.clone();
    let last_words = || blkback.last_words() | blkback.close_last(&store);
    assert!(last_words());
    exports.until("it is told to close", || peer.backend_state() == Some(5));
    // It has stopped its queues: what waits there is put into the ring at an event, though there is
    // no answer to come.
    assert!(peer.ring().take_event());
    assert_eq!(peer.ring().take_all().len(), RING as usize);
    for _ in 0..100 {
        exports.run_for(Duration::from_millis(5));
        assert!(last_words());
        if linux.has_its_answers() {
            return;
        }
    }
    panic!("{} are queued", linux.queued.get());
}

#[test]
fn a_driver_domain_that_ends_answers_what_a_closed_client_still_asks() {
    for queued in [0, 100] {
        let exports = Exports::new(5);
        let peer = exports.peer(2, "ram0");
        exports.connect(&peer);
        exports.disk.set_latency(Duration::from_micros(300));
        let linux = Linux::new(&peer, queued);
        let begun = exports.world.now();
        let closed = exports.close();
        exports.until("the backend closes", || peer.backend_state() == Some(5));
        peer.set_state(6);
        // Its interrupts are late.
        while closed.borrow().is_none() {
            exports.run_for(Duration::from_millis(20));
            linux.has_its_answers();
        }
        assert!(linux.has_its_answers());
        assert!(exports.world.now().since(begun) < SECOND);
    }
}

#[test]
fn a_driver_domain_that_ends_does_not_wait_for_a_client_that_never_ceases() {
    let exports = Exports::new(6);
    let peer = exports.peer(2, "ram0");
    exports.connect(&peer);
    let linux = Linux::new(&peer, 0);
    let begun = exports.world.now();
    let closed = exports.close();
    exports.until("the backend closes", || peer.backend_state() == Some(5));
    peer.set_state(6);
    exports.until("the driver domain has closed", || {
        linux.queued.set(10);
        linux.has_its_answers();
        closed.borrow().is_some()
    });
    let took = exports.world.now().since(begun);
    assert!(took < 8 * SECOND, "{took:?}");
}

#[test]
fn b09_pages_that_stay_mapped_are_let_go_before_the_rings() {
    let scene = Neighbours::new(9);
    let (exports, peer) = (&scene.exports, &scene.peer);
    peer.write("feature-persistent", "1");
    scene.connect();
    let page = peer.page(Access::ReadWrite, 0);
    let answer = scene.ask(&Ask::new(READ, 1, 8, &[whole(&page)]));
    assert_eq!(answer.status, OKAY);
    assert!(page.is_mapped());
    let detach = exports.toolstack.detach(peer.vbd(), true);
    exports.detached(&detach);
    exports.run_for(5 * SECOND);
    assert!(!page.is_mapped());
    assert_eq!(exports.world.usage(PEER).mapped_by_peers, 1, "the ring");
    let answer = scene.ask(&Ask::new(READ, 2, 8, &[whole(&page)]));
    assert_eq!(answer.status, ERROR);
    assert!(!page.is_mapped());
    scene.is_as_before();
}
