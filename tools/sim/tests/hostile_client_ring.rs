//! A frontend that misuses ring, events and grants, against the shipped backend: C01 to C13.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use hv::{Access, DomId, SharedMem};
use sim::blkback::request::{OKAY, READ};
use sim::exports::DRIVER;
use sim::frontend::{Ask, whole};
use sim::layout::ring as at;
use sim::scene::pattern;
use sim::{Neighbours, Rng};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn c01_a_producer_far_ahead() {
    for (seed, by) in [1, 513, 1 << 20, 1 << 31, u32::MAX - 40].iter().enumerate() {
        let scene = Neighbours::connected(seed as u64);
        let ring = scene.peer.ring();
        scene.peer_is_served();
        ring.claim(ring.produced().wrapping_add(ring.entries() + by));
        ring.notify();
        scene.has_failed_alone("req_prod");
    }
}

#[test]
fn c02_a_producer_that_goes_back() {
    for by in [1, 2, 33] {
        let scene = Neighbours::connected(by.into());
        let ring = scene.peer.ring();
        scene.peer_is_served();
        ring.claim(ring.produced().wrapping_sub(by));
        ring.notify();
        scene.has_failed_alone("req_prod");
    }
}

#[test]
fn c02_indices_wrap_and_a_full_ring_is_legal() {
    let scene = Neighbours::new(2);
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.disk.put(0, &pattern(5, 1 << 20));
    exports.until("the offer", || peer.backend_state() == Some(2));
    peer.make_rings(1, 0);
    let ring = peer.ring();
    ring.set_indices(u32::MAX - 20);
    peer.publish(&[]);
    exports.until("the backend connects", || peer.backend_state() == Some(4));
    for round in 0..3u8 {
        let pages: Vec<_> = (0..32).map(|_| peer.page(Access::ReadWrite, 0)).collect();
        for (page, index) in pages.iter().zip(0..) {
            ring.put(&Ask::new(READ, index, index * 8, &[whole(page)]));
        }
        ring.publish();
        ring.notify();
        scene.until_answered(32);
        assert!(ring.take_all().iter().all(|answer| answer.status == OKAY));
        for (index, page) in pages.iter().enumerate() {
            let mut bytes = [0; 4096];
            page.read(0, &mut bytes);
            assert!(
                bytes[..] == exports.disk.bytes(index * 4096, 4096)[..],
                "{round}"
            );
        }
    }
    scene.is_as_before();
}

#[test]
fn c03_a_request_that_changes_after_it_was_read_is_the_one_that_was_read() {
    let scene = Neighbours::connected(3);
    let (peer, ring) = (&scene.peer, scene.peer.ring());
    scene.exports.disk.put(0, &pattern(5, 1 << 16));
    let page = peer.page(Access::ReadWrite, 0);
    let other = peer.page(Access::ReadWrite, 0xee);
    let changed = Ask::new(READ, 99, 0, &[whole(&other)]).encode(sim::frontend::Abi::X86_64);
    // Whatever is read of the ring's entries is another request right afterwards.
    ring.frame()
        .set_snoop(Some(Box::new(move |frame, reader, offset, _| {
            if reader == DRIVER && offset >= at::HEADER {
                let slot = at::HEADER + (offset - at::HEADER) / 112 * 112;
                frame.poke(slot, &changed);
            }
        })));
    for sector in [8, 16, 24] {
        let answer = scene.ask(&Ask::new(READ, 7, sector, &[whole(&page)]));
        assert_eq!((answer.id, answer.status), (7, OKAY));
        let mut bytes = [0; 4096];
        page.read(0, &mut bytes);
        let there = scene.exports.disk.bytes(sector as usize * 512, 4096);
        assert!(bytes[..] == there[..], "{sector}");
        other.read(0, &mut bytes);
        assert_eq!(bytes, [0xee; 4096]);
    }
    scene.is_as_before();
}

#[test]
fn c04_random_event_fields_cost_no_more_than_events() {
    let scene = Neighbours::connected(4);
    let (ring, rng) = (scene.peer.ring(), Rng::new(4));
    let page = scene.peer.page(Access::ReadWrite, 0);
    let before = scene.exports.driver.pv.exec.polls();
    let mut told = 0;
    for id in 0..200 {
        for field in [at::REQ_EVENT, at::RSP_EVENT] {
            let word = rng.next().to_le_bytes();
            ring.memory().write(field, &word[..4]);
        }
        ring.submit(&Ask::new(READ, id, 0, &[whole(&page)]));
        scene.until_answered(1);
        assert_eq!(ring.take().map(|answer| answer.status), Some(OKAY));
        told += u32::from(ring.take_event());
    }
    let polls = scene.exports.driver.pv.exec.polls() - before;
    assert!(polls < 20 * 200, "{polls} polls for 200 requests");
    assert!(told <= 200, "{told} events for 200 answers");
    scene.is_as_before();
}

/// What a storm of the peer's events costs in polls of tasks, for a second of it.
fn storm(scene: &Neighbours) -> u64 {
    let ring = scene.peer.ring();
    let before = scene.exports.driver.pv.exec.polls();
    for _ in 0..20_000 {
        ring.notify();
        scene.exports.run_for(Duration::from_micros(50));
    }
    scene.exports.driver.pv.exec.polls() - before
}

#[test]
fn c05_a_storm_of_events_without_requests_is_heard_ever_more_rarely() {
    let scene = Neighbours::connected(5);
    let polls = storm(&scene);
    assert!(polls < 1000, "{polls} polls for 20000 events in a second");
    // Who has something to ask for is served within a moment all the same.
    scene.peer_is_served();
    scene.is_as_before();
}

#[test]
fn c05_a_storm_while_the_disk_is_slow_is_no_better() {
    let scene = Neighbours::connected(5);
    let (peer, ring) = (&scene.peer, scene.peer.ring());
    scene.exports.disk.set_held(true);
    let pages: Vec<_> = (0..11).map(|_| peer.page(Access::ReadWrite, 0)).collect();
    let segments: Vec<_> = pages.iter().map(whole).collect();
    for id in 0..32 {
        ring.put(&Ask::new(READ, id, 0, &segments));
    }
    ring.publish();
    ring.notify();
    let polls = storm(&scene);
    assert!(polls < 1000, "{polls} polls for 20000 events in a second");
    scene.exports.disk.set_held(false);
    scene.until_answered(32);
    assert!(ring.take_all().iter().all(|answer| answer.status == OKAY));
    scene.is_as_before();
}

#[test]
fn c05_a_disk_that_takes_its_time_costs_nothing_meanwhile() {
    // As much as a connection may have out, and more in the ring.
    let scene = Neighbours::connected(5);
    let (peer, ring) = (&scene.peer, scene.peer.ring());
    scene.exports.disk.set_held(true);
    let pages: Vec<_> = (0..11).map(|_| peer.page(Access::ReadWrite, 0)).collect();
    let segments: Vec<_> = pages.iter().map(whole).collect();
    for id in 0..32 {
        ring.put(&Ask::new(READ, id, 0, &segments));
    }
    ring.publish();
    ring.notify();
    scene.exports.run_for(SECOND);
    assert!(scene.exports.disk.waiting() < 32, "all of them were taken");
    let before = scene.exports.driver.pv.exec.polls();
    scene.exports.run_for(SECOND);
    let polls = scene.exports.driver.pv.exec.polls() - before;
    assert!(polls < 50, "{polls} polls in a second of waiting");
    scene.exports.disk.set_held(false);
    scene.until_answered(32);
    scene.is_as_before();
}

#[test]
fn c05_a_frontend_that_asks_again_as_soon_as_it_is_answered_leaves_others_their_turn() {
    let scene = Neighbours::connected(5);
    let (peer, ring) = (&scene.peer, scene.peer.ring());
    let page = peer.page(Access::ReadWrite, 0);
    // How often others had their turn.
    let turns = Rc::new(Cell::new(0u64));
    let (exec, count) = (scene.exports.driver.pv.exec.clone(), turns.clone());
    let other = async move {
        while count.get() < 10_000 {
            count.set(count.get() + 1);
            exec.yield_now().await;
        }
    };
    // As one on another processor: it asks, with an event, just when the backend has seen that
    // there is nothing more.
    let (asked, most) = (Rc::new(Cell::new((0, 0))), Rc::new(Cell::new(0)));
    let hook = {
        let (ring, turns, asked, most) = (
            Rc::downgrade(&ring),
            turns.clone(),
            asked.clone(),
            most.clone(),
        );
        move |frame: &sim::Frame, reader: DomId, offset: usize, _: usize| {
            let Some(ring) = ring.upgrade() else {
                return;
            };
            let mut wanted = [0; 4];
            frame.peek(at::REQ_EVENT, &mut wanted);
            let sleeps = u32::from_le_bytes(wanted) == ring.produced().wrapping_add(1);
            if reader != DRIVER || offset != at::REQ_PROD || !sleeps || turns.get() >= 5000 {
                return;
            }
            let _answers = ring.take_all();
            ring.submit(&Ask::new(READ, 1, 0, &[whole(&page)]));
            let (turn, count) = asked.get();
            let count = if turn == turns.get() { count + 1 } else { 1 };
            asked.set((turns.get(), count));
            most.set(most.get().max(count));
            assert!(count < 10_000, "the others never had their turn");
        }
    };
    ring.frame().set_snoop(Some(Box::new(hook)));
    ring.notify();
    let done = scene.exports.driver.spawn(&scene.exports.world, other);
    scene
        .exports
        .until("the others are done", || done.borrow().is_some());
    ring.frame().set_snoop(None);
    assert!(asked.get().0 > 100, "it was not served at all");
    assert!(most.get() < 200, "{} requests in one turn", most.get());
    scene.is_as_before();
}

#[test]
fn c06_a_request_that_comes_just_as_the_backend_goes_to_sleep_is_found() {
    // Shown after the backend has looked for the n-th time since the last answer, and announced
    // only if the backend asked for an event by then.
    for looks in 1..6 {
        let scene = Neighbours::connected(looks);
        let (peer, ring) = (&scene.peer, scene.peer.ring());
        let page = peer.page(Access::ReadWrite, 0);
        let left = Rc::new(Cell::new(looks));
        let hook = {
            let (ring, left) = (Rc::downgrade(&ring), left.clone());
            move |frame: &sim::Frame, reader: DomId, offset: usize, _: usize| {
                let Some(ring) = ring.upgrade() else {
                    return;
                };
                if reader != DRIVER || offset != at::REQ_PROD || left.get() == 0 {
                    return;
                }
                left.set(left.get() - 1);
                if left.get() > 0 {
                    return;
                }
                let mut asked = [0; 4];
                frame.peek(at::REQ_EVENT, &mut asked);
                frame.poke(at::REQ_PROD, &ring.produced().to_le_bytes());
                let old = ring.produced().wrapping_sub(1);
                let since = ring.produced().wrapping_sub(u32::from_le_bytes(asked));
                if since < ring.produced().wrapping_sub(old) {
                    ring.notify();
                }
            }
        };
        ring.put(&Ask::new(READ, 1, 0, &[whole(&page)]));
        ring.publish();
        ring.put(&Ask::new(READ, 2, 0, &[whole(&page)]));
        ring.frame().set_snoop(Some(Box::new(hook)));
        ring.notify();
        scene.exports.run_for(SECOND);
        if left.get() > 0 {
            // It did not look so often.
            assert!(looks > 2);
            ring.publish();
            ring.notify();
        }
        scene.until_answered(2);
        ring.frame().set_snoop(None);
        assert_eq!(ring.take_all().len(), 2);
        scene.is_as_before();
    }
}

#[test]
fn c06_without_events_requests_wait_and_are_not_lost() {
    let scene = Neighbours::connected(6);
    let (peer, ring) = (&scene.peer, scene.peer.ring());
    let page = peer.page(Access::ReadWrite, 0);
    for id in 0..5 {
        ring.put(&Ask::new(READ, id, 0, &[whole(&page)]));
        ring.publish();
        scene.exports.run_for(SECOND);
    }
    ring.notify();
    scene.until_answered(5);
    scene.is_as_before();
}

#[test]
fn c07_a_ring_of_random_bytes_is_a_few_odd_requests_or_none() {
    let (mut served, mut failed) = (0, 0);
    for seed in 0..40 {
        let scene = Neighbours::new(seed);
        let (exports, peer) = (&scene.exports, &scene.peer);
        let before = exports.disk.bytes(0, 1 << 20);
        exports.until("the offer", || peer.backend_state() == Some(2));
        peer.make_rings(1, 0);
        let (ring, rng) = (peer.ring(), Rng::new(seed));
        for word in 0..512 {
            ring.memory().write(word * 8, &rng.next().to_le_bytes());
        }
        if seed % 2 == 0 {
            let index = u32::try_from(rng.below(1 << 32)).expect("32 bits");
            ring.memory().store_u32(at::RSP_PROD, index);
            ring.claim(index.wrapping_add(u32::try_from(rng.below(33)).expect("few")));
        }
        peer.publish(&[]);
        exports.until("the backend says something", || {
            matches!(peer.backend_state(), Some(4 | 6))
        });
        exports.run_for(SECOND);
        if peer.backend_state() == Some(4) {
            served += 1;
        } else {
            failed += 1;
            let text = peer.backend("hotplug-error").unwrap_or_default();
            assert!(text.contains("req_prod"), "{text}");
        }
        assert!(exports.disk.bytes(0, 1 << 20) == before);
        scene.is_as_before();
    }
    assert!(served > 5 && failed > 5, "{served} served, {failed} failed");
}

#[test]
fn c08_a_ring_or_a_port_that_is_not_there_fails_the_export_alone() {
    for (key, value, why) in [
        ("ring-ref", "4000", "ring cannot be mapped"),
        ("ring-ref", "0", "ring cannot be mapped"),
        ("event-channel", "0", "event-channel cannot be bound"),
        ("event-channel", "900", "event-channel cannot be bound"),
        // The port of the domain's xenstore connection.
        ("event-channel", "1", "event-channel cannot be bound"),
    ] {
        let scene = Neighbours::new(8);
        let peer = &scene.peer;
        scene
            .exports
            .until("the offer", || peer.backend_state() == Some(2));
        peer.make_rings(1, 0);
        peer.publish(&[(key, Some(value))]);
        scene.has_failed_alone(why);
    }
}

#[test]
fn c08_a_port_closed_under_the_backend_costs_only_the_events() {
    let scene = Neighbours::connected(8);
    let (peer, ring) = (&scene.peer, scene.peer.ring());
    let page = peer.page(Access::ReadWrite, 0);
    scene.exports.disk.set_held(true);
    ring.submit(&Ask::new(READ, 1, 0, &[whole(&page)]));
    scene.exports.run_for(SECOND);
    ring.close_port();
    scene.exports.disk.set_held(false);
    scene.until_answered(1);
    scene.is_as_before();
}

#[test]
fn c09_when_the_backend_of_an_idle_frontend_is_closed_nothing_is_mapped() {
    for order in 0..5 {
        let scene = Neighbours::new(9);
        let (exports, peer) = (&scene.exports, &scene.peer);
        exports.connect_with(peer, 1, order);
        scene.peer_is_served();
        assert!(exports.world.usage(DomId(2)).mapped_by_peers >= 1 << order);
        exports.run_for(SECOND);
        peer.set_state(5);
        exports.until("the export closes", || peer.backend_state() == Some(5));
        peer.set_state(6);
        exports.until("the export is Closed", || {
            let closed = peer.backend_state() == Some(6);
            // Looked at in the very step that shows it.
            assert!(!closed || exports.world.usage(DomId(2)).mapped_by_peers == 0);
            closed
        });
        scene.is_as_before();
    }
}

#[test]
fn c13_whatever_a_frontend_does_again_and_again_is_not_said_each_time() {
    // The budget is a `Neighbours`'s.
    let scene = Neighbours::connected(13);
    let ring = scene.peer.ring();
    for round in 0..100 {
        for id in 0..32 {
            ring.put(&Ask::new(77, id, round, &[]));
        }
        ring.publish();
        ring.notify();
        scene.until_answered(32);
        assert_eq!(ring.take_all().len(), 32);
    }
    scene.is_as_before();
}

#[test]
fn c13_connections_that_come_and_go_are_not_said_each_time() {
    let scene = Neighbours::new(13);
    let (exports, peer) = (&scene.exports, &scene.peer);
    for _ in 0..100 {
        exports.connect(peer);
        peer.set_state(5);
        exports.until("the export closes", || peer.backend_state() == Some(5));
        peer.set_state(6);
        exports.until("the export is Closed", || peer.backend_state() == Some(6));
        peer.set_state(1);
    }
    scene.is_as_before();
}

#[test]
fn c01_a_frontend_that_has_lied_is_offered_nothing_until_its_device_is_made_anew() {
    let scene = Neighbours::connected(1);
    let (exports, peer) = (&scene.exports, &scene.peer);
    let ring = peer.ring();
    ring.claim(ring.produced().wrapping_add(100));
    ring.notify();
    exports.until("the export is Closed", || peer.backend_state() == Some(6));
    for state in [6, 1] {
        peer.set_state(state);
        exports.run_for(3 * SECOND);
        assert_eq!(peer.backend_state(), Some(6));
    }
    exports.detached(&exports.toolstack.detach(peer.vbd(), true));
    exports.attach(peer.vbd(), "ram0");
    scene.connect();
    scene.peer_is_served();
    scene.is_as_before();
}
