//! Clients that do not come to an end, and streams that fail.

use std::cell::Cell;
use std::time::Duration;

use futures_util::stream;
use http::{Body, End, Response, Status, limits};

use crate::wire::{Wire, echo};

const SECOND: Duration = Duration::from_secs(1);

fn passes(wire: &Wire) {
    wire.now.set(wire.now.get() + SECOND);
}

#[test]
fn h12_a_client_that_never_asks_is_let_go_without_a_word() {
    let wire = Wire::new([b""; 0]);
    assert_eq!(wire.serve(echo, passes), End::Closed);
    assert_eq!((wire.text().as_str(), wire.now.get()), ("", limits::IDLE));
}

#[test]
fn h12_a_head_that_trickles_in_is_timed_as_a_whole() {
    let wire = Wire::new(["G"]);
    let end = wire.serve(echo, |wire| {
        passes(wire);
        wire.sent.borrow_mut().push_back(b"E".to_vec());
    });
    let End::Refused(refusal) = end else {
        panic!("{end:?}");
    };
    assert_eq!(refusal.status, Status::RequestTimeout);
    assert!(wire.text().starts_with("HTTP/1.1 408 "), "{}", wire.text());
    let most = limits::ARRIVAL + limits::LINGER_FOR;
    assert!(wire.now.get() <= most, "{:?}", wire.now.get());
}

#[test]
fn h12_a_body_that_does_not_come_is_a_timeout_too() {
    let wire = Wire::new(["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na"]);
    assert!(matches!(wire.serve(echo, passes), End::Refused(_)));
    assert!(wire.text().starts_with("HTTP/1.1 408 "));
}

#[test]
fn h12_a_second_request_that_is_cut_short_is_timed_too() {
    let wire = Wire::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"]);
    assert!(matches!(wire.serve(echo, passes), End::Refused(_)));
    let text = wire.text();
    assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("HTTP/1.1 408 "));
}

#[test]
fn h12_a_client_that_takes_no_answer_is_let_go() {
    let wire = Wire::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\n"]);
    wire.room.set(10);
    assert_eq!(wire.serve(echo, passes), End::Broken);
    assert_eq!(wire.now.get(), limits::DEPARTURE);
}

#[test]
fn h12_a_client_that_takes_its_answer_slowly_gets_it() {
    let large = async |_| Response::ok("text/plain", vec![b'x'; 100_000]);
    let wire = Wire::new(["GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]);
    wire.room.set(0);
    let end = wire.serve(large, |wire| {
        passes(wire);
        wire.room.set(5000);
    });
    assert_eq!(end, End::Closed);
    assert!(wire.text().ends_with(&"x".repeat(100_000)));
}

#[test]
fn h12_a_client_that_takes_each_piece_in_time_but_not_all_is_let_go() {
    let large = async |_| Response::ok("text/plain", vec![b'x'; 100_000]);
    let wire = Wire::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\n"]);
    wire.room.set(1000);
    let end = wire.serve(large, |wire| {
        passes(wire);
        wire.room.set(1000);
    });
    assert_eq!(end, End::Broken);
    let taken = wire.now.get();
    assert_eq!(taken, limits::whole_departure(100_000));
    assert!(taken < 3 * limits::DEPARTURE, "{taken:?}");
}

#[test]
fn h11_where_there_are_many_a_client_gets_one_answer() {
    let wire = Wire::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2)]);
    wire.crowded.set(true);
    assert_eq!(wire.serve(echo, passes), End::Closed);
    let text = wire.text();
    assert_eq!(text.matches("HTTP/1.1 200 ").count(), 1, "{text}");
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    assert_eq!(wire.now.get(), Duration::ZERO);
}

#[test]
fn h14_a_stream_that_takes_nothing_ends_the_connection() {
    let wire = Wire::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\n"]);
    wire.dead.set(true);
    assert_eq!(wire.serve(echo, passes), End::Broken);
    assert_eq!(wire.now.get(), Duration::ZERO);
}

#[test]
fn h14_a_stream_of_chunks_ends_with_its_client() {
    let wire = Wire::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\n"]);
    wire.room.set(1000);
    let endless = async |_| {
        let chunks = stream::repeat_with(|| vec![b'x'; 100]);
        Response::stream("text/plain", Box::pin(chunks))
    };
    assert_eq!(wire.serve(endless, passes), End::Broken);
}

#[test]
fn h14_what_is_sent_after_a_refusal_is_read_up_to_a_bound() {
    let wire = Wire::new(["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n"]);
    let sent = Cell::new(0);
    let end = wire.serve(echo, |wire| {
        wire.sent.borrow_mut().push_back(vec![0; 1000]);
        sent.set(sent.get() + 1000);
    });
    assert!(matches!(end, End::Refused(_)));
    assert!((limits::LINGER..limits::LINGER + 2000).contains(&sent.get()));
}

#[test]
fn a_body_is_what_it_says() {
    assert!(matches!(
        Response::error(Status::NotFound, "x").body,
        Body::Whole(_)
    ));
}
