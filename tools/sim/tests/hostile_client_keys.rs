//! What a frontend writes in xenstore that it may not, against the shipped backend: B12, B13, B14,
//! s59.

use std::time::Duration;

use hv::DomId;
use sim::blkback::request::OKAY;
use sim::frontend::{Abi, Ask, Frontend};
use sim::{Neighbours, RamConfig, Rng};

const SECOND: Duration = Duration::from_secs(1);

/// A frontend publishes `keys` over the honest ones of `queues` rings of `2^order` pages.
fn publishes(queues: usize, order: u32, keys: &[(&str, Option<&str>)]) -> Neighbours {
    let scene = Neighbours::new(12);
    let peer = &scene.peer;
    scene
        .exports
        .until("the offer", || peer.backend_state() == Some(2));
    peer.make_rings(queues, order);
    peer.publish(keys);
    scene
}

#[test]
fn b12_rings_that_were_not_offered_or_are_not_there_fail_the_export_alone() {
    let long = "7".repeat(4000);
    let cases: &[(&str, Option<&str>)] = &[
        ("ring-page-order", Some("5")),
        ("ring-page-order", Some("31")),
        ("ring-page-order", Some("4294967295")),
        ("ring-page-order", Some("4294967296")),
        ("ring-page-order", Some("18446744073709551615")),
        ("ring-page-order", Some("-1")),
        ("ring-page-order", Some("+1")),
        ("ring-page-order", Some("0x1")),
        ("ring-page-order", Some("1 ")),
        ("ring-page-order", Some("one")),
        ("ring-page-order", Some("")),
        ("ring-page-order", Some("1")),
        ("num-ring-pages", Some("0")),
        ("num-ring-pages", Some("3")),
        ("num-ring-pages", Some("32")),
        ("num-ring-pages", Some("4294967296")),
        ("num-ring-pages", Some("2")),
        ("ring-ref", None),
        ("ring-ref", Some("")),
        ("ring-ref", Some("-8")),
        ("ring-ref", Some("4294967296")),
        ("ring-ref", Some(&long)),
        ("event-channel", None),
        ("event-channel", Some("-1")),
        ("event-channel", Some("4294967296")),
        ("event-channel", Some("99999999999999999999")),
        ("event-channel", Some("4096")),
        ("multi-queue-num-queues", Some("0")),
        ("multi-queue-num-queues", Some("5")),
        ("multi-queue-num-queues", Some("4294967295")),
        ("multi-queue-num-queues", Some("2")),
        ("multi-queue-num-queues", Some("x")),
        ("protocol", Some("arm-abi")),
        ("protocol", Some("")),
        ("protocol", Some(&long)),
    ];
    for (key, value) in cases {
        let scene = publishes(1, 0, &[(key, *value)]);
        let word = match *key {
            // The first key that is missing then.
            "ring-page-order" if *value == Some("1") => "ring-ref0",
            "num-ring-pages" if *value == Some("2") => "ring-ref0",
            "multi-queue-num-queues" if *value == Some("2") => "queue-0/ring-ref",
            key => key,
        };
        scene.has_failed_alone(word);
    }
}

#[test]
fn b12_bytes_that_are_no_text_fail_the_export_alone() {
    for key in ["ring-ref", "event-channel", "protocol", "ring-page-order"] {
        let scene = publishes(1, 0, &[("state", Some("1"))]);
        scene.peer.write(key, [0xff, 0xfe, 0, 7]);
        scene.peer.set_state(3);
        scene.has_failed_alone(key);
    }
}

#[test]
fn b12_queues_of_which_one_is_missing_fail_the_export_alone() {
    for (key, value) in [
        ("queue-1/ring-ref", None),
        ("queue-1/event-channel", None),
        ("queue-2/ring-ref", Some("4000")),
        ("queue-2/event-channel", Some("900")),
        ("multi-queue-num-queues", Some("4")),
    ] {
        let scene = publishes(3, 0, &[(key, value)]);
        scene.has_failed_alone(match key {
            "queue-2/ring-ref" => "ring cannot be mapped",
            "queue-2/event-channel" => "event-channel cannot be bound",
            "multi-queue-num-queues" => "queue-3/ring-ref",
            key => key,
        });
    }
}

#[test]
fn b12_one_page_for_all_of_a_ring_is_its_frontend_s_own_affair() {
    let scene = Neighbours::new(12);
    let peer = &scene.peer;
    scene
        .exports
        .until("the offer", || peer.backend_state() == Some(2));
    peer.make_rings(1, 1);
    let reference = peer.ring().references()[0].to_string();
    peer.publish(&[("ring-ref1", Some(&reference))]);
    scene
        .exports
        .until("the backend connects", || peer.backend_state() == Some(4));
    let ring = peer.ring();
    for id in 0..64 {
        ring.put(&Ask::new(99, id, 0, &[]));
    }
    ring.publish();
    ring.notify();
    scene.exports.run_for(SECOND);
    scene.is_as_before();
}

#[test]
fn b12_one_port_for_two_queues_fails_the_export_alone() {
    let scene = Neighbours::new(12);
    let peer = &scene.peer;
    scene
        .exports
        .until("the offer", || peer.backend_state() == Some(2));
    peer.make_rings(2, 0);
    let port = peer.ring().port().to_string();
    peer.publish(&[("queue-1/event-channel", Some(&port))]);
    scene.has_failed_alone("event-channel cannot be bound");
}

#[test]
fn b12_the_largest_rings_that_are_offered_work() {
    let scene = Neighbours::new(12);
    scene.exports.connect_with(&scene.peer, 4, 4);
    assert_eq!(scene.exports.world.usage(DomId(2)).mapped_by_peers, 64);
    for ring in scene.peer.rings() {
        for id in 0..ring.entries() {
            ring.put(&Ask::new(3, id.into(), 0, &[]));
        }
        ring.publish();
        ring.notify();
        let entries = ring.entries();
        scene
            .exports
            .until("all are answered", || ring.answered() == entries);
        assert!(ring.take_all().iter().all(|answer| answer.status == OKAY));
    }
    scene.is_as_before();
}

#[test]
fn b13_states_that_come_in_no_order_end_the_connection_at_most() {
    for seed in 0..60 {
        let scene = Neighbours::new(seed);
        let (exports, peer) = (&scene.exports, &scene.peer);
        let rng = Rng::new(seed);
        peer.make_rings(1, 0);
        for (key, value) in peer.keys() {
            peer.write(&key, value);
        }
        for _ in 0..40 {
            match rng.below(12) {
                0 => peer.write("state", "99"),
                1 => peer.write("state", ""),
                2 => peer.write("state", [0xff, 0]),
                3 => peer.remove("state"),
                _ => peer.set_state(u32::try_from(rng.below(9)).expect("few")),
            }
            exports.run_for(Duration::from_micros(rng.below(3000)));
        }
        scene.is_as_before();
    }
}

#[test]
fn b13_a_frontend_that_is_connected_before_it_is_asked_is_connected() {
    let scene = Neighbours::new(13);
    let peer = &scene.peer;
    peer.make_rings(1, 0);
    peer.publish(&[]);
    peer.set_state(4);
    scene
        .exports
        .until("the backend connects", || peer.backend_state() == Some(4));
    scene.peer_is_served();
    scene.is_as_before();
}

#[test]
fn b13_ten_thousand_states_a_second_cost_only_who_writes_them() {
    let scene = Neighbours::connected(13);
    let (exports, peer) = (&scene.exports, &scene.peer);
    let before = exports.driver.pv.exec.polls();
    for round in 0..10_000u32 {
        peer.set_state(if round % 2 == 0 { 4 } else { 8 });
        exports.run_for(Duration::from_micros(100));
        if round % 1000 == 0 {
            scene.good_client_goes_on();
        }
    }
    let polls = exports.driver.pv.exec.polls() - before;
    assert!(polls < 40 * 10_000, "{polls} polls");
    scene.is_as_before();
}

#[test]
fn b14_the_layout_is_that_of_the_connection() {
    let scene = Neighbours::with(14, RamConfig::default(), Abi::X86_32);
    let (exports, peer) = (&scene.exports, &scene.peer);
    let other = Frontend::new(&exports.toolstack, peer.pv(), *peer.vbd(), Abi::X86_64);
    for round in 0..6 {
        let peer = if round % 2 == 0 { peer } else { &other };
        exports.connect(peer);
        let ring = peer.ring();
        let page = peer.page(hv::Access::ReadWrite, 0);
        ring.submit(&Ask::new(0, 77, 8, &[sim::frontend::whole(&page)]));
        exports.until("the answer", || ring.answered() == 1);
        let answer = ring.take().expect("an answer");
        assert_eq!((answer.id, answer.status), (77, OKAY), "{round}");
        peer.set_state(6);
        exports.until("the export is Closed", || peer.backend_state() == Some(6));
        peer.drop_rings();
        peer.set_state(1);
    }
    scene.is_as_before();
}

#[test]
fn s59_a_frontend_may_close_before_it_ever_connects() {
    let scene = Neighbours::new(59);
    let (exports, peer) = (&scene.exports, &scene.peer);
    exports.until("the offer", || peer.backend_state() == Some(2));
    let lives = exports.toolstack.store();
    for _ in 0..20 {
        peer.set_state(5);
        exports.until("the export is Closed", || peer.backend_state() == Some(6));
        // Its directory stays: to be gone would mean that the device is.
        exports.run_for(5 * SECOND);
        assert!(lives.exists(&peer.vbd().backend_path()));
        peer.set_state(6);
        exports.run_for(SECOND);
        assert_eq!(peer.backend_state(), Some(6));
        peer.set_state(1);
        exports.until("the offer again", || peer.backend_state() == Some(2));
    }
    scene.connect();
    scene.peer_is_served();
    scene.is_as_before();
}

#[test]
fn s59_a_frontend_may_go_straight_to_closed() {
    let scene = Neighbours::new(59);
    let (exports, peer) = (&scene.exports, &scene.peer);
    for _ in 0..20 {
        exports.until("the offer", || peer.backend_state() == Some(2));
        peer.set_state(6);
        exports.until("the export is Closed", || peer.backend_state() == Some(6));
        peer.set_state(1);
    }
    scene.connect();
    peer.set_state(6);
    exports.until("the export is Closed", || peer.backend_state() == Some(6));
    peer.set_state(1);
    scene.connect();
    scene.peer_is_served();
    scene.is_as_before();
}
