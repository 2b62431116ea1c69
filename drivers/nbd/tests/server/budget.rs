//! How much clients may have under way, and that none keeps another from its own.

use std::cell::Cell;
use std::rc::Rc;

use nbd::{Fault, Limits, Server};

use crate::client::{GO, READ, ZEROES, option_bytes, wish};
use crate::rig::{Rig, SIZE, params};

const LIMITS: Limits = Limits {
    client: 512 << 10,
    shared: 384 << 10,
};

#[test]
fn a_client_over_its_budget_waits() {
    let rig = Rig::with(params(0, SIZE), LIMITS);
    let client = rig.client("disk", true);
    rig.media.hold.set(true);
    for cookie in 0..100 {
        client.ask(READ, 0, cookie, (cookie * 4096, 64 << 10));
    }
    assert_eq!(rig.media.held_bytes(), 512 << 10);
    let mut answered = 0;
    while answered < 100 {
        assert!(rig.media.held_bytes() <= 512 << 10);
        rig.media.finish(0);
        rig.run();
        answered += client.replies(&[]).len();
    }
}

#[test]
fn a_client_that_does_not_read_has_little_waiting_for_it() {
    let rig = Rig::with(params(0, SIZE), LIMITS);
    let client = rig.client("disk", true);
    client.allow(0);
    for cookie in 0..1000 {
        client.ask(READ, 0, cookie, (0, 64 << 10));
    }
    let read = rig
        .media
        .log
        .borrow()
        .iter()
        .filter(|entry| entry.2 == 64 << 10)
        .count();
    assert_eq!(read, 8);
    // Also of refusals, each of which counts 4 KiB.
    let other = rig.client("fixed", true);
    other.allow(0);
    for cookie in 0..1000 {
        other.ask(99, 0, cookie, (0, 0));
    }
    let left = other.wire.to_server.borrow().len();
    assert_eq!(
        left,
        (1000 - 96 - 1) * 28,
        "256 KiB of its own and 128 KiB that are shared"
    );
    for client in [&client, &other] {
        client.allow(usize::MAX);
    }
    assert_eq!(client.replies(&[]).len(), 1000);
    assert_eq!(other.replies(&[]).len(), 1000);
}

#[test]
fn d50_a_stuck_disk_with_all_that_is_shared_keeps_nobody_elses_own() {
    let rig = Rig::with(params(0, SIZE), LIMITS);
    let (_media, _disk) = rig.second_disk();
    rig.media.hold.set(true);
    let mut stuck = Vec::new();
    for _ in 0..4 {
        let client = rig.client("fixed", true);
        for cookie in 0..20 {
            client.ask(READ, 0, cookie, (0, 256 << 10));
        }
        stuck.push(client);
    }
    assert_eq!(rig.media.held_bytes(), (4 * 256 + 256) << 10);
    let other = rig.client("other", true);
    for cookie in 0..20 {
        other.ask(READ, 0, cookie, (0, 1 << 20));
        other.write(0, cookie, 0, &vec![1; 1 << 20]);
    }
    assert_eq!(other.replies(&[]).len(), 40);
}

#[test]
fn d51_clients_that_come_again_and_again_to_a_stuck_disk_take_no_more() {
    let rig = Rig::with(params(0, SIZE), LIMITS);
    rig.media.hold.set(true);
    for _ in 0..4 {
        let client = rig.client("fixed", false);
        client.ask(READ, 0, 1, (0, 256 << 10));
        client.hang_up();
    }
    let held = rig.media.held_bytes();
    for _ in 0..4 {
        let client = rig.connect();
        client.greet();
        assert_eq!(client.option(GO, &wish("fixed", &[]))[0].0, 0x8000_0002);
        client.hang_up();
    }
    assert_eq!(rig.media.held_bytes(), held);
    rig.release();
    rig.assert_quiet();
    rig.client("fixed", false);
}

#[test]
fn d52_more_clients_than_may_choose_are_sent_away() {
    let rig = Rig::new();
    let clients: Vec<_> = (1..6)
        .flat_map(|peer| (0..4).map(move |_| peer))
        .map(|peer| rig.connect_from(peer))
        .collect();
    let ended = clients
        .iter()
        .filter(|client| client.ended() == Some(Err(Fault::Crowded)));
    assert_eq!(ended.count(), 4);
    clients[0].send(&[0, 0, 0, 3]);
    clients[0].send(&option_bytes(GO, &wish("disk", &[])));
    assert_eq!(rig.connect().ended(), None, "one has chosen");
}

#[test]
fn d53_what_waited_for_a_client_that_left_is_given_back() {
    let rig = Rig::with(params(0, SIZE), LIMITS);
    for _ in 0..5 {
        let client = rig.client("disk", true);
        client.allow(0);
        for cookie in 0..20 {
            client.ask(READ, 0, cookie, (0, 64 << 10));
        }
        client.wire.broken.set(true);
        client.hang_up();
        rig.assert_quiet();
    }
    let client = rig.client("disk", true);
    rig.media.hold.set(true);
    for cookie in 0..20 {
        client.ask(READ, 0, cookie, (0, 64 << 10));
    }
    assert_eq!(rig.media.held_bytes(), LIMITS.client);
}

#[test]
fn d54_one_peer_gets_half_of_the_places() {
    let rig = Rig::new();
    let silent: Vec<_> = (0..20).map(|_| rig.connect()).collect();
    let left = |clients: &[crate::client::Client<'_>]| {
        let staying = clients.iter().filter(|client| client.ended().is_none());
        staying.count()
    };
    assert_eq!(left(&silent), 8);
    let mut chosen = Vec::new();
    for _ in 0..4 {
        let mut client = rig.connect_from(2);
        client.go("fixed", false);
        chosen.push(client);
    }
    let fifth = rig.connect_from(2);
    fifth.greet();
    assert_eq!(fifth.option(GO, &wish("fixed", &[]))[0].0, 0x8000_0002);
    rig.connect_from(3).go("fixed", false);
    chosen[0].hang_up();
    let again = fifth.option(GO, &wish("fixed", &[3]));
    assert_eq!(again.last().map(|reply| reply.0), Some(1));
}

#[test]
fn d55_a_domain_with_little_memory_keeps_it_for_itself() {
    let room = Rc::new(Cell::new(4 << 20));
    let told = room.clone();
    let rig = Rig::served(params(0, SIZE), |geom, exec, exports| {
        Server::within(geom, exec, exports, Rc::new(move || told.get()))
    });
    let client = rig.client("disk", true);
    // A sixteenth is shared, and half of that is one client's at most.
    rig.media.hold.set(true);
    for cookie in 0..20 {
        client.ask(READ, 0, cookie, (0, 64 << 10));
    }
    assert_eq!(rig.media.held_bytes(), (256 + 128) << 10);
    rig.release();
    assert!(client.replies(&[]).iter().all(|reply| reply.error == 0));
    for left in [0, 64 << 10, 512 << 10] {
        room.set(left);
        client.ask(READ, 0, 1, (0, 64 << 10));
        client.ask(READ, 0, 2, (0, 512 << 10));
        client.write(0, 3, 0, &[1; 4096]);
        client.ask(ZEROES, 0, 4, (0, 4096));
        let errors: Vec<u32> = client.replies(&[]).iter().map(|r| r.error).collect();
        assert_eq!(errors, [12; 4]);
    }
    room.set(1 << 20);
    client.ask(READ, 0, 1, (0, 64 << 10));
    assert_eq!(client.replies(&[])[0].error, 0);
}
