//! Frontends, domains and disks that leave while requests are under way: B10, B11, C10, C12, s58.

use std::time::Duration;

use geom::Errno;
use hv::{Access, DomId, SharedMem};
use sim::blkback::request::{ERROR, OKAY, READ, WRITE};
use sim::frontend::{Ask, whole};
use sim::scene::pattern;
use sim::{Dom, Frontend, Neighbours, Rng};

const SECOND: Duration = Duration::from_secs(1);
const PEER: DomId = DomId(2);

/// Has the peer ask for as many reads and writes of a page as there are pages, in turn.
fn ask_much(peer: &Frontend, pages: &[pv::Granted<Dom>]) {
    let ring = peer.ring();
    for (page, id) in pages.iter().zip(0..) {
        let operation = if id % 2 == 0 { READ } else { WRITE };
        ring.put(&Ask::new(operation, id, id * 8, &[whole(page)]));
    }
    ring.publish();
    ring.notify();
}

fn pages(peer: &Frontend, count: usize) -> Vec<pv::Granted<Dom>> {
    let page = |_| peer.page(Access::ReadWrite, 0xee);
    (0..count).map(page).collect()
}

fn is_untouched(page: &pv::Granted<Dom>) -> bool {
    let mut bytes = [0; 4096];
    page.read(0, &mut bytes);
    bytes == [0xee; 4096]
}

#[test]
fn b10_what_is_under_way_when_the_frontend_leaves_is_answered_first() {
    for state in [5, 6] {
        let scene = Neighbours::connected(10);
        let (exports, peer) = (&scene.exports, &scene.peer);
        let ring = peer.ring();
        exports.disk.set_held(true);
        let pages = pages(peer, 20);
        ask_much(peer, &pages);
        exports.until("all are held", || exports.disk.waiting() == 20);
        peer.set_state(state);
        exports.run_for(SECOND);
        assert_eq!(peer.backend_state(), Some(5));
        assert_eq!(exports.world.usage(PEER).mapped_by_peers, 1);
        exports.disk.set_held(false);
        scene.until_answered(20);
        peer.set_state(6);
        exports.until("the export is Closed", || peer.backend_state() == Some(6));
        let answers = ring.take_all();
        assert_eq!(answers.len(), 20);
        assert!(answers.iter().all(|answer| answer.status == OKAY));
        scene.is_as_before();
    }
}

#[test]
fn b10_what_is_under_way_for_too_long_touches_neither_page_nor_disk() {
    let scene = Neighbours::connected(10);
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.disk.put(0, &pattern(7, 1 << 17));
    exports.disk.set_held(true);
    let pages = pages(peer, 20);
    ask_much(peer, &pages);
    exports.until("all are held", || exports.disk.waiting() == 20);
    peer.set_state(6);
    exports.run_for(Duration::from_millis(4900));
    assert_eq!(peer.backend_state(), Some(5));
    exports.run_for(Duration::from_millis(200));
    assert_eq!(peer.backend_state(), Some(6));
    let answers = peer.ring().take_all();
    assert_eq!(answers.len(), 20);
    assert!(answers.iter().all(|answer| answer.status == ERROR));
    // The pages are still granted, and somebody else's by now.
    exports.disk.set_held(false);
    exports.run_for(SECOND);
    assert!(pages.iter().all(is_untouched));
    assert!(exports.disk.bytes(0, 1 << 17) == pattern(7, 1 << 17));
    scene.is_as_before();
}

/// A frontend that has said Closed with two requests under way, which the disk holds, and comes
/// back. Its pages are still granted.
fn back_with_two_requests_held() -> (Neighbours, Vec<pv::Granted<Dom>>) {
    let scene = Neighbours::connected(10);
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.disk.set_held(true);
    let pages = pages(peer, 2);
    ask_much(peer, &pages);
    exports.until("all are held", || exports.disk.waiting() == 2);
    peer.set_state(6);
    exports.until("the export is Closed", || peer.backend_state() == Some(6));
    peer.set_state(1);
    (scene, pages)
}

#[test]
fn b10_a_frontend_that_comes_back_waits_for_what_it_left_under_way() {
    let (scene, _pages) = back_with_two_requests_held();
    let exports = &scene.exports;
    exports.run_for(3 * SECOND);
    exports.disk.set_held(false);
    scene.connect();
    scene.peer_is_served();
    scene.is_as_before();
}

#[test]
fn b10_a_frontend_that_comes_back_waits_no_longer_than_the_toolstack_does() {
    let (scene, _pages) = back_with_two_requests_held();
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.run_for(8 * SECOND);
    assert_eq!(peer.backend("hotplug-error"), None);
    exports.run_for(2 * SECOND);
    let text = peer.backend("hotplug-error").unwrap_or_default();
    assert!(text.contains("held by blkback 2/51712"), "{text:?}");
    exports.disk.set_held(false);
    scene.is_as_before();
}

/// One way for a frontend to leave.
fn leave(scene: &Neighbours, rng: &Rng) {
    let (exports, peer) = (&scene.exports, &scene.peer);
    match rng.below(8) {
        0 => peer.set_state(5),
        1 => peer.set_state(6),
        2 => {
            peer.set_state(5);
            peer.set_state(6);
            peer.set_state(1);
        }
        3 => peer.remove(""),
        4 => drop(exports.toolstack.detach(peer.vbd(), false)),
        5 => drop(exports.toolstack.detach(peer.vbd(), true)),
        6 => {
            let ring = peer.ring();
            ring.claim(ring.produced().wrapping_add(100));
            ring.notify();
        }
        _ => exports.disk.pull(),
    }
}

#[test]
fn b10_connections_that_end_quickly_leave_nothing() {
    for seed in 0..300 {
        let scene = Neighbours::new(seed);
        let (exports, peer) = (&scene.exports, &scene.peer);
        let rng = Rng::new(seed);
        exports.disk.put(0, &pattern(7, 1 << 17));
        exports
            .disk
            .set_latency(Duration::from_micros(rng.below(3000)));
        exports.until("the offer", || peer.backend_state() == Some(2));
        peer.make_rings(1 + rng.index(2), u32::try_from(rng.below(2)).expect("few"));
        peer.publish(&[]);
        exports.run_for(Duration::from_micros(rng.below(300)));
        let pages = pages(peer, rng.index(33));
        ask_much(peer, &pages);
        exports.run_for(Duration::from_micros(rng.below(2000)));
        let latency = Duration::from_micros(rng.below(2000));
        exports.toolstack.store().set_latency(latency);
        leave(&scene, &rng);
        exports.run_for(Duration::from_micros(rng.below(2000)));
        if rng.one_in(2) {
            leave(&scene, &rng);
        }
        exports.run_for(Duration::from_micros(rng.below(2000)));
        exports.toolstack.store().set_latency(Duration::ZERO);
        // What was lost is of no use to the comparison.
        exports.disk.pull();
        exports.run_for(SECOND);
        exports.disk.plug_in(&exports.driver);
        scene.is_as_before();
    }
}

#[test]
fn b11_answers_that_nobody_takes_take_no_room() {
    let scene = Neighbours::connected(11);
    let (exports, peer) = (&scene.exports, &scene.peer);
    let ring = peer.ring();
    let page = peer.page(Access::ReadWrite, 0);
    exports.run_for(SECOND);
    let before = exports.driver.holdings(&exports.toolstack);
    let mut asked = 0;
    for _ in 0..200 {
        for id in 0..32 {
            ring.put(&Ask::new(READ, id, 0, &[whole(&page)]));
        }
        asked += 32;
        ring.publish();
        ring.notify();
        scene.until_answered(asked);
    }
    assert_eq!(exports.driver.holdings(&exports.toolstack), before);
    // Answers have been written over, which is the frontend's loss. More requests than the ring
    // has entries are not to be had from anybody.
    exports.disk.set_held(true);
    for id in 0..32 {
        ring.put(&Ask::new(READ, id, 0, &[whole(&page)]));
    }
    ring.publish();
    ring.notify();
    exports.until("all are held", || exports.disk.waiting() == 32);
    ring.put(&Ask::new(READ, 32, 0, &[whole(&page)]));
    ring.publish();
    ring.notify();
    exports.run_for(SECOND);
    exports.disk.set_held(false);
    scene.has_failed_alone("req_prod");
}

#[test]
fn c10_a_domain_that_dies_with_requests_under_way_leaves_nothing() {
    for seed in 0..30 {
        let scene = Neighbours::connected(seed);
        let (exports, peer) = (&scene.exports, &scene.peer);
        let rng = Rng::new(seed);
        exports.disk.set_latency(Duration::from_millis(5));
        let pages = pages(peer, 32);
        ask_much(peer, &pages);
        exports.run_for(Duration::from_micros(rng.below(6000)));
        exports.toolstack.destroy_domain(PEER);
        // libxl removes the devices of a domain that is gone by force.
        exports.detached(&exports.toolstack.detach(peer.vbd(), true));
        assert_eq!(exports.world.usage(PEER).mapped_by_peers, 0, "seed {seed}");
        assert_eq!(
            exports.driver.geom.counters().dropped_bios,
            0,
            "seed {seed}"
        );
        scene.is_as_before();
    }
}

#[test]
fn c10_a_domain_that_is_destroyed_without_a_word_to_its_backends_is_let_go_of() {
    for seed in 0..20 {
        let scene = Neighbours::connected(seed);
        let (exports, peer) = (&scene.exports, &scene.peer);
        let pages = pages(peer, 32);
        ask_much(peer, &pages);
        exports.run_for(Duration::from_micros(100 * seed));
        // As a toolstack does that knows nothing of its devices: what tells the backend is that
        // xenstored removes the nodes of a domain that is gone.
        exports.toolstack.destroy_domain(PEER);
        exports.run_for(SECOND);
        let mapped = exports.world.usage(PEER).mapped_by_peers;
        assert_eq!(mapped, 0, "seed {seed}: {:?}", peer.backend_state());
        scene.is_as_before();
    }
}

#[test]
fn x06_a_frontend_whose_nodes_go_with_its_domain_s_home_is_let_go_of() {
    let scene = Neighbours::connected(6);
    let (exports, peer) = (&scene.exports, &scene.peer);
    // No watch of the backend's hears of that.
    exports.toolstack.store().remove("/local/domain/2");
    exports.run_for(31 * SECOND);
    let page = peer.page(Access::ReadWrite, 0);
    let answer = scene.ask(&Ask::new(READ, 1, 8, &[whole(&page)]));
    assert_eq!(answer.status, ERROR, "it is heard all the same");
    // Its port stays open, and nobody says that it will be closed.
    exports.run_for(60 * SECOND);
    let mapped = exports.world.usage(PEER).mapped_by_peers;
    assert_eq!(mapped, 0, "{:?}", peer.backend_state());
    scene.is_as_before();
}

#[test]
fn c12_connections_one_after_the_other_take_no_room() {
    let long = std::env::var_os("XENOLITH_LONG").is_some();
    let scene = Neighbours::new(12);
    let (exports, peer) = (&scene.exports, &scene.peer);
    let mut holdings = None;
    for round in 0..if long { 10_000 } else { 400 } {
        exports.connect_with(peer, 1 + round % 3, (round % 2) as u32);
        let page = peer.page(Access::ReadWrite, 0xee);
        for ring in peer.rings() {
            ring.submit(&Ask::new(READ, 7, 0, &[whole(&page)]));
            exports.until("the answer", || ring.answered() == 1);
            assert_eq!(ring.take().map(|answer| answer.status), Some(OKAY));
        }
        peer.set_state(6);
        exports.until("the export is Closed", || peer.backend_state() == Some(6));
        // What another number of rings left is none of the next connection's.
        for key in ["ring-page-order", "multi-queue-num-queues", "ring-ref"] {
            peer.remove(key);
        }
        peer.set_state(1);
        exports.run_for(SECOND / 100);
        if round % 6 == 0 {
            let now = exports.driver.holdings(&exports.toolstack);
            assert_eq!(*holdings.get_or_insert(now), now, "round {round}");
        }
        if round % 600 == 0 {
            scene.has_logged_little(); // In six seconds.
        }
        // The rings that the peer still has, and no page of a connection before.
        let mapped = exports.world.usage(PEER).mapped_by_peers;
        assert_eq!(mapped, (1 + round % 3) << (round % 2), "round {round}");
    }
    scene.is_as_before();
    assert_eq!(exports.world.usage(PEER).mapped_by_peers, 0);
    peer.pv().grants.sweep();
    assert_eq!(peer.pv().grants.usage().parked, 0);
}

#[test]
fn s58_when_the_disk_is_gone_every_request_is_answered_and_the_ring_is_let_go() {
    let scene = Neighbours::connected(58);
    let (exports, peer) = (&scene.exports, &scene.peer);
    let ring = peer.ring();
    exports.disk.set_held(true);
    let all = pages(peer, 20);
    ask_much(peer, &all);
    exports.until("all are held", || exports.disk.waiting() == 20);
    exports.disk.pull();
    exports.until("the frontend is asked to close", || {
        peer.backend_state() == Some(5)
    });
    // As one that has not read that yet.
    ask_much(peer, &pages(peer, 10));
    exports.until("all are answered", || ring.answered() == 30);
    assert!(ring.take_all().iter().all(|answer| answer.status == ERROR));
    exports.run_for(SECOND);
    assert_eq!(peer.backend_state(), Some(5));
    assert_eq!(exports.world.usage(PEER).mapped_by_peers, 1);
    peer.set_state(6);
    exports.until("the export is Closed", || peer.backend_state() == Some(6));
    ring.close_port();
    exports.run_for(SECOND / 4);
    assert_eq!(exports.world.usage(PEER).mapped_by_peers, 0);
    // The frontend may come back, and so may the disk.
    peer.set_state(1);
    exports.run_for(3 * SECOND);
    exports.disk.set_held(false);
    exports.disk.plug_in(&exports.driver);
    scene.connect();
    scene.peer_is_served();
    scene.is_as_before();
}

#[test]
fn s58_a_frontend_that_does_not_close_is_let_go_of() {
    let scene = Neighbours::connected(58);
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.disk.pull();
    exports.run_for(Duration::from_millis(4900));
    assert_eq!(peer.backend_state(), Some(5));
    exports.run_for(Duration::from_millis(200));
    assert_eq!(peer.backend_state(), Some(6));
    peer.ring().close_port();
    exports.run_for(SECOND / 4);
    assert_eq!(exports.world.usage(PEER).mapped_by_peers, 0);
    exports.disk.plug_in(&exports.driver);
    scene.is_as_before();
}

#[test]
fn s58_a_disk_that_goes_before_anybody_connects_is_complained_of() {
    let scene = Neighbours::new(58);
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.until("the offer", || peer.backend_state() == Some(2));
    exports.disk.pull();
    exports.until("the complaint", || peer.backend("hotplug-error").is_some());
    let text = peer.backend("hotplug-error").expect("a complaint");
    assert!(text.contains("ram0 is gone"), "{text}");
    exports.disk.plug_in(&exports.driver);
    // Even if it comes back and somebody connects: what was offered may not be true of it.
    peer.make_rings(1, 0);
    peer.publish(&[]);
    exports.run_for(SECOND);
    assert!(peer.backend_state() != Some(4));
    exports.detach(peer.vbd());
    exports.attach(peer.vbd(), "ram0");
    scene.connect();
    scene.peer_is_served();
    scene.is_as_before();
}

#[test]
fn a_disk_that_fails_everything_is_not_a_disk_that_is_gone() {
    let scene = Neighbours::connected(58);
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.disk.fail(Some(Errno::Io));
    let ring = peer.ring();
    ask_much(peer, &pages(peer, 32));
    scene.until_answered(32);
    assert!(ring.take_all().iter().all(|answer| answer.status == ERROR));
    exports.disk.fail(None);
    assert_eq!(peer.backend_state(), Some(4));
    scene.peer_is_served();
    scene.is_as_before();
}

#[test]
fn b10_a_client_that_is_let_go_of_finds_nothing_more_in_its_pages() {
    let scene = Neighbours::connected(13);
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.disk.put(0, &pattern(3, 1 << 18));
    exports.disk.set_held(true);
    // GEOM is asked for it in two pieces, and has one of them: its bytes are to be copied with
    // those of the other, or with somebody else's.
    let pages = pages(peer, 64);
    let segments: Vec<_> = pages.iter().map(whole).collect();
    let list = peer.list(&segments);
    peer.ring()
        .submit(&Ask::indirect(READ, 64, list.reference()));
    exports.until("both are held", || exports.disk.waiting() == 2);
    exports.disk.release(0);
    let detach = exports.toolstack.detach(peer.vbd(), true);
    exports.detached(&detach);
    scene.until_answered(1);
    assert_eq!(peer.ring().take().map(|answer| answer.status), Some(ERROR));
    // They are its own again.
    pages.iter().for_each(|page| page.fill(0, 4096, 0xee));
    scene.good_client_goes_on();
    assert!(pages.iter().all(is_untouched));
    exports.disk.set_held(false);
    exports.run_for(SECOND);
    assert!(pages.iter().all(is_untouched));
    scene.is_as_before();
}
