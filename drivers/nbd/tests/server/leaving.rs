//! Clients, streams and disks that leave in the middle.

use std::time::Duration;

use geom::disk::Command;
use nbd::Fault;

use crate::client::{
    Client, DISC, FUA, GO, READ, STRUCTURED, TRIM, ZEROES, option_bytes, request, wish,
};
use crate::rig::{Rig, SIZE, pattern};

/// A client whose disk answers nothing yet.
fn held_up(rig: &Rig, structured: bool) -> Client<'_> {
    let client = rig.client("disk", structured);
    rig.media.hold.set(true);
    client
}

/// A whole visit: every kind of message, one after the other.
fn visit() -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 3];
    bytes.extend(option_bytes(3, &[]));
    bytes.extend(option_bytes(STRUCTURED, &[]));
    bytes.extend(option_bytes(GO, &wish("disk", &[3])));
    bytes.extend(request(READ, 0, 1, (0, 300 << 10)));
    bytes.extend(request(1, FUA, 2, (512, 512)));
    bytes.extend([1; 512]);
    bytes.extend(request(1, 0, 3, (SIZE as u64, 100)));
    bytes.extend([2; 100]);
    bytes.extend(request(TRIM, 0, 4, (0, 512)));
    bytes.extend(request(ZEROES, FUA, 5, (0, 4096)));
    bytes.extend(request(3, 0, 6, (0, 0)));
    bytes.extend(request(DISC, 0, 0, (0, 0)));
    bytes
}

#[test]
fn d30_a_client_may_hang_up_after_any_byte() {
    let visit = visit();
    for length in 0..=visit.len() {
        let rig = Rig::new();
        let client = rig.connect();
        client.send(&visit[..length]);
        client.hang_up();
        let whole = length == visit.len();
        let expected = if whole {
            Ok(())
        } else {
            Err(Fault::Disconnected)
        };
        assert_eq!(client.ended(), Some(expected), "after {length} bytes");
        rig.assert_quiet();
        assert!(!rig.media.open.get());
    }
}

#[test]
fn d31_the_same_visit_in_single_bytes_has_the_same_answers() {
    let answers = |piece| {
        let rig = Rig::new();
        let client = rig.connect();
        client.wire.piece.set(piece);
        client.send(&visit());
        assert_eq!(client.ended(), Some(Ok(())));
        client.take()
    };
    // Answers may come in another order, but here nothing waits for the disk.
    assert!(answers(1) == answers(usize::MAX));
}

#[test]
fn d32_a_client_may_stop_reading_after_any_byte_and_hang_up() {
    let visit = visit();
    for room in (0..900).chain((900..300 << 10).step_by(40_001)) {
        let rig = Rig::new();
        let client = rig.connect();
        client.allow(room);
        client.send(&visit);
        client.wire.broken.set(true);
        client.hang_up();
        assert!(client.ended().is_some_and(|end| end.is_err()), "{room}");
        rig.assert_quiet();
    }
}

#[test]
fn d33_a_client_that_leaves_while_the_disk_works_is_answered_to_nobody() {
    for structured in [false, true] {
        let rig = Rig::new();
        let client = held_up(&rig, structured);
        client.ask(READ, 0, 1, (0, 512));
        client.ask(READ, 0, 2, (0, 1 << 19));
        client.write(FUA, 3, 4096, &[9; 512]);
        client.ask(TRIM, FUA, 4, (0, 512));
        client.hang_up();
        assert_eq!(client.ended(), Some(Err(Fault::Disconnected)));
        assert!(rig.media.open.get(), "the disk still works for it");
        rig.release();
        assert_eq!(client.take(), []);
        rig.assert_quiet();
        // What was begun was done, once; the rest of the long read was not begun.
        assert_eq!(rig.media.bytes.borrow()[4096..4608], [9; 512]);
        let log = rig.media.log.borrow();
        let later = |(_, at, _): &&(_, u64, u64)| (256 << 10..512 << 10).contains(at);
        assert_eq!(log.iter().find(later), None);
    }
}

#[test]
fn d34_a_client_that_leaves_in_the_middle_of_a_payload_has_begun_a_part_of_it() {
    let rig = Rig::new();
    let client = held_up(&rig, false);
    client.ask(1, FUA, 1, (0, 1 << 20));
    client.send(&vec![7; 200 << 10]);
    client.hang_up();
    rig.release();
    rig.assert_quiet();
    assert!(!rig.media.commands().contains(&Command::Flush));
    let bytes = rig.media.bytes.borrow();
    assert!(bytes[..128 << 10].iter().all(|byte| *byte == 7));
    assert!(bytes[128 << 10..] == pattern(SIZE)[128 << 10..]);
}

#[test]
fn d42_nothing_more_is_begun_of_what_a_client_asked_for_that_left() {
    let rig = Rig::new();
    let client = held_up(&rig, false);
    client.ask(ZEROES, 0, 1, (0, 1 << 20));
    client.hang_up();
    rig.release();
    rig.assert_quiet();
    assert!(rig.media.bytes.borrow()[128 << 10..] == pattern(SIZE)[128 << 10..]);
}

#[test]
fn d35_a_client_that_chooses_nothing_is_sent_away() {
    let rig = Rig::new();
    let silent = rig.connect();
    let slow = rig.connect();
    slow.greet();
    rig.wait(Duration::from_secs(9));
    slow.option(3, &[]);
    assert_eq!((silent.ended(), slow.ended()), (None, None));
    rig.wait(Duration::from_secs(1));
    assert_eq!(silent.ended(), Some(Err(Fault::Late)));
    assert_eq!(slow.ended(), Some(Err(Fault::Late)));
    rig.assert_quiet();
}

#[test]
fn d36_a_client_that_has_chosen_may_be_silent_for_long() {
    let rig = Rig::new();
    let client = rig.client("disk", false);
    rig.wait(Duration::from_secs(100_000));
    client.ask(READ, 0, 1, (0, 512));
    assert_eq!(client.replies(&[(1, 512)]).len(), 1);
}

#[test]
fn d37_a_client_that_stops_in_the_middle_is_sent_away() {
    let rig = Rig::new();
    let writer = rig.client("disk", false);
    writer.ask(1, 0, 1, (0, 512));
    let reader = rig.client("fixed", false);
    reader.allow(100);
    reader.ask(READ, 0, 1, (0, 512));
    rig.wait(Duration::from_secs(119));
    assert_eq!((writer.ended(), reader.ended()), (None, None));
    rig.wait(Duration::from_secs(1));
    assert_eq!(writer.ended(), Some(Err(Fault::Late)));
    assert_eq!(reader.ended(), Some(Err(Fault::Late)));
    rig.wait(Duration::from_secs(30));
    rig.assert_quiet();
}

#[test]
fn d38_a_client_that_wants_to_leave_is_answered_before() {
    let rig = Rig::new();
    let client = held_up(&rig, false);
    client.ask(READ, 0, 1, (0, 512));
    client.ask(DISC, 0, 0, (0, 0));
    assert_eq!(client.ended(), None);
    rig.release();
    assert_eq!(client.replies(&[(1, 512)]).len(), 1);
    assert_eq!(client.ended(), Some(Ok(())));
    rig.assert_quiet();
}

#[test]
fn d39_a_disk_that_does_not_answer_keeps_no_stream() {
    let rig = Rig::new();
    let client = held_up(&rig, false);
    client.ask(READ, 0, 1, (0, 512));
    client.ask(DISC, 0, 0, (0, 0));
    rig.wait(Duration::from_secs(30));
    assert_eq!(client.ended(), Some(Err(Fault::Late)));
    rig.release();
    rig.assert_quiet();
}

#[test]
fn d40_a_disk_that_is_lost_ends_its_clients_and_is_let_go() {
    let rig = Rig::new();
    let idle = rig.client("fixed", true);
    let busy = rig.client("disk", true);
    rig.media.hold.set(true);
    busy.ask(READ, 0, 1, (0, 512));
    rig.disk.gone();
    rig.run();
    assert_eq!(idle.ended(), Some(Err(Fault::Lost)));
    assert!(!rig.media.gone.get());
    for bio in rig.media.held.take() {
        bio.complete(Err(geom::Errno::NoDevice));
    }
    rig.run();
    let replies = busy.replies(&[]);
    assert_eq!((replies.len(), replies[0].error), (1, 108));
    assert_eq!(busy.ended(), Some(Err(Fault::Lost)));
    assert!(rig.media.gone.get(), "nobody holds it");
    let client = rig.connect();
    client.greet();
    assert_eq!(client.option(GO, &wish("disk", &[]))[0].0, 0x8000_0006);
}

#[test]
fn d41_a_server_that_is_dropped_in_the_middle_lets_go() {
    let rig = Rig::new();
    let client = held_up(&rig, false);
    client.ask(READ, 0, 1, (0, 512));
    rig.exec.drop_tasks();
    rig.release();
    rig.assert_quiet();
}
