//! Requests that no server should take.

use crate::wire::{answers, status};

/// A request of these fields, which is answered if they are good.
fn fields(fields: &str) -> String {
    status(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n"))
}

fn target(target: &str) -> String {
    status(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

fn line(line: &str) -> String {
    status(format!("{line}\r\nHost: x\r\n\r\n"))
}

#[test]
fn h01_line_feeds_and_carriage_returns_alone() {
    assert_eq!(fields(""), "200");
    assert_eq!(status("GET / HTTP/1.1\nHost: x\n\n"), "400");
    assert_eq!(fields("A: b\nC: d\r\n"), "400");
    assert_eq!(fields("A: b\rC: d\r\n"), "400");
    assert_eq!(status("GET / HTTP/1.1\r\nHost: x\r\n\r\r\n"), "400");
    assert_eq!(status("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), "400");
    assert_eq!(status("\n"), "400");
}

#[test]
fn h02_control_characters() {
    for byte in (0..0x20u8)
        .chain([0x7f])
        .filter(|byte| !b"\t\r\n".contains(byte))
    {
        let mut text = b"GET / HTTP/1.1\r\nHost: x\r\nA: b".to_vec();
        text.extend_from_slice(&[byte, b'c', b'\r', b'\n', b'\r', b'\n']);
        assert_eq!(status(&text), "400", "{byte:#x}");
    }
    assert_eq!(fields("A: b\tc\r\n"), "200");
    assert_eq!(fields("A: \u{e9}\r\n"), "200");
    assert_eq!(line("GET\t/\tHTTP/1.1"), "400");
}

#[test]
fn h03_continued_lines() {
    assert_eq!(fields("A: b\r\n c\r\n"), "400");
    assert_eq!(fields("A: b\r\n\tc\r\n"), "400");
    let got = answers("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c: d\r\n\r\n");
    assert!(got.ends_with("a line begins with a blank\n"), "{got}");
    assert_eq!(status("GET / HTTP/1.1\r\n Host: x\r\n\r\n"), "400");
}

#[test]
fn h04_request_lines_that_are_none() {
    for bad in [
        "GET",
        "GET /",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / x HTTP/1.1",
        "/ HTTP/1.1",
        "G(T / HTTP/1.1",
    ] {
        assert_eq!(line(bad), "400", "{bad:?}");
    }
}

#[test]
fn h05_targets_that_are_none() {
    for bad in [
        "*",
        "x",
        "x/",
        "/#a",
        "/\"",
        "/<",
        "/a\\b",
        "/%",
        "/%4",
        "/%4g",
        "/%g4",
        "/\u{e9}",
        "http://",
        "http://x",
        "http:///",
        "http://a b/",
        "http://a@b/",
        "https://x/",
        "/a{b}",
    ] {
        let expected = "400";
        assert_eq!(target(bad), expected, "{bad:?}");
    }
    for good in [
        "/",
        "//",
        "/a/b?c=d&e",
        "/?",
        "/%41?%42",
        "http://x/",
        "http://[::1]:80/a",
    ] {
        assert_eq!(target(good), "200", "{good:?}");
    }
}

#[test]
fn h06_versions_and_methods_that_are_not_taken() {
    for (version, expected) in [
        ("HTTP/2.0", "505"),
        ("HTTP/1.2", "505"),
        ("HTTP/0.9", "505"),
        ("HTTP/1.10", "400"),
        ("HTTP/1", "400"),
        ("http/1.1", "400"),
        ("HTTP/x.1", "400"),
        ("", "400"),
    ] {
        assert_eq!(line(&format!("GET / {version}")), expected, "{version}");
    }
    assert_eq!(line("get / HTTP/1.1"), "501");
    assert_eq!(line("BREW / HTTP/1.1"), "501");
}

#[test]
fn h07_fields_that_are_none() {
    for bad in [
        "A\r\n",
        "A : b\r\n",
        ": b\r\n",
        "A b: c\r\n",
        "A\u{e9}: b\r\n",
        "A;: b\r\n",
    ] {
        assert_eq!(fields(bad), "400", "{bad:?}");
    }
    assert_eq!(fields("A:\r\nB:c\r\nC: \t d \t\r\n"), "200");
}

#[test]
fn h08_a_host_that_is_missing_twice_there_or_none() {
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "400");
    assert_eq!(fields("Host: x\r\n"), "400");
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), "400");
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), "400");
    assert_eq!(
        status("GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n"),
        "400"
    );
    assert_eq!(status("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "200");
}

#[test]
fn h09_lengths_that_are_not_certain() {
    for bad in [
        "", "+1", "-1", "1 ", "0x1", "1,1", "1, 1", "1 1", "\u{0661}",
    ] {
        let text = format!("Content-Length: {bad}x\r\n");
        assert_eq!(fields(&text), "400", "{bad:?}");
    }
    assert_eq!(fields("Content-Length:\r\n"), "400");
    assert_eq!(fields("Content-Length: 0\r\nContent-Length: 0\r\n"), "400");
    assert_eq!(fields("Content-Length: 0\r\ncontent-length: 1\r\n"), "400");
    assert_eq!(fields("Content-Length: 4097\r\n"), "413");
    let huge = "9".repeat(100);
    assert_eq!(fields(&format!("Content-Length: {huge}\r\n")), "413");
    assert_eq!(fields("Content-Length: 00\r\n"), "200");
    assert_eq!(line("POST / HTTP/1.1"), "411");
}

#[test]
fn h10_transfer_codings() {
    assert_eq!(fields("Transfer-Encoding: chunked\r\n"), "411");
    assert_eq!(fields("Transfer-Encoding: gzip, chunked\r\n"), "501");
    assert_eq!(fields("Transfer-Encoding: identity\r\n"), "501");
    assert_eq!(
        fields("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        "400"
    );
    assert_eq!(
        fields("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        "400"
    );
    assert_eq!(
        fields("Content-Length: 0\r\ntransfer-encoding: x\r\n"),
        "400"
    );
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(fields(twice), "400");
    assert_eq!(
        status("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "400"
    );
}

#[test]
fn h11_more_than_the_limits() {
    let exactly = |length: usize| "a".repeat(length);
    // "GET / HTTP/1.1" has one byte of path.
    let longest = http::limits::REQUEST_LINE - "GET / HTTP/1.1".len();
    assert_eq!(target(&format!("/{}", exactly(longest))), "200");
    assert_eq!(target(&format!("/{}", exactly(longest + 1))), "414");
    let field = |length: usize| fields(&format!("A: {}\r\n", exactly(length)));
    let room = http::limits::HEAD - "GET / HTTP/1.1\r\nHost: x\r\nA: \r\n\r\n".len();
    assert_eq!(field(room), "200");
    assert_eq!(field(room + 1), "431");
    let many = |count: usize| fields(&"A: b\r\n".repeat(count));
    assert_eq!(many(http::limits::FIELDS - 1), "200");
    assert_eq!(many(http::limits::FIELDS), "431");
    // One that never ends is refused before it is kept.
    assert_eq!(status("G".repeat(1 << 20)), "414");
    let endless = format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(1 << 16));
    assert_eq!(status(endless), "431");
}

#[test]
fn h13_expectations_that_are_not_known() {
    assert_eq!(fields("Expect: tea\r\n"), "417");
    assert_eq!(fields("Expect: 100-continue\r\n"), "200");
}
