//! What good requests get, however they come.

use futures_util::stream;
use http::{End, Request, Response, Status};

use crate::wire::{Wire, answers, echo};

const GET: &str = "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &str = "POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";

const GET_ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\
    Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\nGet /a b=c ";
const POST_ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\
    Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\nPost /run  hello";

#[test]
fn requests_of_a_pipeline_are_answered_in_order() {
    let text = [GET, POST, POST, GET].concat();
    let expected = [GET_ANSWER, POST_ANSWER, POST_ANSWER, GET_ANSWER].concat();
    assert_eq!(answers(&text), expected);
}

#[test]
fn the_answers_are_the_same_byte_by_byte() {
    let text = [GET, POST, GET].concat();
    let wire = Wire::new(text.bytes().map(|byte| vec![byte]));
    wire.ended.set(true);
    assert_eq!(wire.serve(echo, |_| panic!("it waits")), End::Closed);
    assert_eq!(wire.text(), [GET_ANSWER, POST_ANSWER, GET_ANSWER].concat());
}

#[test]
fn nothing_is_answered_behind_a_refusal() {
    let text = [GET, "GET / HTTP/3.0\r\nHost: x\r\n\r\n", GET].concat();
    let got = answers(&text);
    let rest = got.strip_prefix(GET_ANSWER).expect("the first answer");
    assert!(rest.starts_with("HTTP/1.1 505 "), "{rest}");
    assert_eq!(rest.matches("HTTP/1.1 ").count(), 1);
}

#[test]
fn a_request_cut_short_by_the_clients_end_is_not_answered() {
    assert_eq!(answers(&POST[..POST.len() - 1]), "");
    assert_eq!(answers("GET / HT"), "");
}

#[test]
fn a_head_is_the_answer_without_its_body() {
    let text = GET.replace("GET", "HEAD");
    let expected = GET_ANSWER.replace("Get /a b=c ", "");
    let expected = expected.replace("Length: 11", "Length: 12");
    assert_eq!(answers(&text), expected);
}

#[test]
fn the_connection_ends_when_the_client_says_so_or_speaks_1_0() {
    let close = "GET / HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\n";
    assert_eq!(answers(&[close, GET].concat()).matches("200 OK").count(), 1);
    assert!(answers(close).contains("\r\nConnection: close\r\n"));
    let old = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!(answers(&[old, GET].concat()).matches("200 OK").count(), 1);
}

#[test]
fn a_client_that_waits_to_send_its_body_is_told_once() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let wire = Wire::new([head]);
    let mut left = vec![b"b".to_vec(), b"a".to_vec()];
    wire.serve(echo, |wire| {
        let piece = left.pop();
        wire.ended.set(piece.is_none());
        wire.sent.borrow_mut().extend(piece);
    });
    let got = wire.text();
    assert!(
        got.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{got}"
    );
    assert!(got.ends_with("ab"), "{got}");
    let at_once = format!("{head}ab");
    assert!(answers(&at_once).starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_stream_comes_in_chunks_and_to_an_old_client_as_it_is() {
    let pieces = async |_: Request| {
        let pieces = [&b"abc"[..], b"", &[b'x'; 26]].map(<[u8]>::to_vec);
        Response::stream("text/plain", Box::pin(stream::iter(pieces)))
    };
    let serve = |text: &str| {
        let wire = Wire::new([text]);
        wire.ended.set(true);
        wire.serve(pieces, |_| panic!("it waits"));
        wire.text()
    };
    let x = "x".repeat(26);
    let got = serve(GET);
    assert!(got.contains("\r\nTransfer-Encoding: chunked\r\n"));
    assert!(!got.contains("Content-Length"));
    let body = format!("\r\n\r\n3\r\nabc\r\n1a\r\n{x}\r\n0\r\n\r\n");
    assert!(got.ends_with(&body), "{got}");
    let got = serve("GET / HTTP/1.0\r\n\r\n");
    assert!(
        !got.contains("Encoding") && !got.contains("Length"),
        "{got}"
    );
    assert!(got.contains("\r\nConnection: close\r\n"), "{got}");
    assert!(got.ends_with(&format!("\r\n\r\nabc{x}")), "{got}");
    let head = serve(&GET.replace("GET", "HEAD"));
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn what_is_refused_says_why() {
    let got = answers("GET / HTTP/1.1\r\n\r\n");
    assert!(
        got.ends_with("\r\n\r\n400 Bad Request: there is no Host\n"),
        "{got}"
    );
    let allow = Response::method_not_allowed("GET, HEAD").render(true, false);
    assert!(allow.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    assert!(allow.contains("\r\nAllow: GET, HEAD\r\n"));
    let missing = Response::error(Status::NotFound, "x").render(true, false);
    assert!(missing.starts_with("HTTP/1.1 404 Not Found\r\n"));
}
