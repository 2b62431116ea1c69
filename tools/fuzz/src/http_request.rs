//! Harness for HTTP requests.
//!
//! Oracle:
//!
//! * the requests, and what ends them, are the same however the input is cut into pieces;
//! * they are those that a plain reading of the whole input takes, which knows nothing of the
//!   server's own; what it does not take is refused, and nothing is taken behind it;
//! * rendered again, they are read as the same requests; with the lengths of their bodies they
//!   cover the input from its start, but for blanks around values.

use http::{Incoming, Refusal, Request, limits};

use crate::random::Random;

/// Runs one input. Its first byte seeds how the rest is cut into pieces.
///
/// # Panics
/// If the oracle is broken.
pub fn http_request(data: &[u8]) {
    let (seed, bytes) = data
        .split_first()
        .map_or((0, data), |(seed, rest)| (*seed, rest));
    let (requests, end) = read([bytes].into_iter());
    let pieced = read(pieces(bytes, seed));
    assert_eq!(pieced, (requests.clone(), end));
    let single = read(bytes.chunks(1));
    assert_eq!(single, (requests.clone(), end));
    compare(bytes, &requests, end);
    let rendered: Vec<u8> = requests.iter().flat_map(render).collect();
    let (again, none) = read([&rendered[..]].into_iter());
    assert_eq!(none, None);
    assert_eq!(again.len(), requests.len());
    for (one, other) in again.iter().zip(&requests) {
        assert_eq!(render(one), render(other));
        assert!(one.head.fields().eq(other.head.fields()));
        assert_eq!(one.head.method(), other.head.method());
    }
}

fn render(request: &Request) -> Vec<u8> {
    [request.head.render(), request.body.clone()].concat()
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Request>, Option<Refusal>) {
    let mut incoming = Incoming::new();
    let mut requests = Vec::new();
    for piece in pieces {
        incoming.push(piece);
        loop {
            match incoming.take_request() {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(refusal) => return (requests, Some(refusal)),
            }
        }
    }
    (requests, None)
}

fn pieces(mut bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut random = Random::new(seed.into());
    core::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (piece, rest) = bytes.split_at(bytes.len().min(1 + random.below(60)));
        bytes = rest;
        Some(piece)
    })
}

/// Compares with a plain reading.
fn compare(bytes: &[u8], requests: &[Request], end: Option<Refusal>) {
    let mut rest = bytes;
    for request in requests {
        let head = head(rest).expect("a head");
        let length = plain(head).expect("a head that can be taken");
        assert!(head.len() <= limits::HEAD && length <= limits::BODY);
        rest = &rest[head.len()..];
        assert_eq!(request.body, rest[..length]);
        rest = &rest[length..];
    }
    match head(rest) {
        Some(head) => match plain(head) {
            // It is the body that is not whole.
            Some(length) => assert!(end.is_none() && rest.len() < head.len() + length),
            None => assert!(end.is_some(), "{:?}", String::from_utf8_lossy(head)),
        },
        // What is refused before its end could not have become a head, whatever followed.
        None => {
            if end.is_some() {
                let line = rest.windows(2).position(|pair| pair == b"\r\n");
                let finished = [rest, b"\r\n\r\n"].concat();
                let finished = head_or_all(&finished);
                assert!(plain(finished).is_none() || line.is_none());
            }
        }
    }
}

/// Up to the first empty line.
fn head(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    bytes.get(..end + 4)
}

fn head_or_all(bytes: &[u8]) -> &[u8] {
    head(bytes).unwrap_or(bytes)
}

/// The length of the body behind a head, if it can be taken.
fn plain(head: &[u8]) -> Option<usize> {
    // One character a byte, so that text can be spoken of.
    let text: String = head.iter().copied().map(char::from).collect();
    let text = text.strip_suffix("\r\n\r\n")?;
    let mut lines = text.split("\r\n");
    let line = lines.next()?;
    let odd = |c: char| c.is_ascii_control();
    if head.len() > limits::HEAD || line.len() > limits::REQUEST_LINE || line.contains(odd) {
        return None;
    }
    let parts: Vec<&str> = line.split(' ').collect();
    let &[method, target, version @ ("HTTP/1.0" | "HTTP/1.1")] = &parts[..] else {
        return None;
    };
    let known = "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH";
    if !known.split(' ').any(|one| one == method) || !is_target(target) {
        return None;
    }
    let mut fields = Vec::new();
    for line in lines {
        if line.contains(|c| odd(c) && c != '\t') {
            return None;
        }
        let (name, value) = line.split_once(':')?;
        let good = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(good) {
            return None;
        }
        fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])));
    }
    let values = |wanted: &str| -> Vec<&str> {
        let all = fields.iter().filter(|(name, _)| name == wanted);
        all.map(|(_, value)| *value).collect()
    };
    let hosts = values("host");
    let unknown = |value: &&str| !value.eq_ignore_ascii_case("100-continue");
    let refused = fields.len() > limits::FIELDS
        || hosts.len() > 1
        || (hosts.is_empty() && version == "HTTP/1.1")
        || hosts.iter().any(|host| !is_host(host))
        || values("expect").iter().any(unknown)
        || !values("transfer-encoding").is_empty();
    if refused {
        return None;
    }
    match values("content-length")[..] {
        [] if method != "POST" => Some(0),
        [digits] if digits.chars().all(|c| c.is_ascii_digit()) => {
            digits.parse().ok().filter(|n| *n <= limits::BODY)
        }
        _ => None,
    }
}

fn is_host(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:[]%".contains(c);
    text.chars().all(good)
}

fn is_target(text: &str) -> bool {
    let path = match text.strip_prefix("http://") {
        None => text,
        Some(rest) => {
            let (host, _) = rest.split_once('/').unwrap_or(("", ""));
            if host.is_empty() || !is_host(host) {
                return false;
            }
            &rest[host.len()..]
        }
    };
    let good = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?".contains(c);
    let mut parts = path.split('%');
    let first = parts.next().unwrap_or_default();
    let escaped = |part: &str| {
        let mut digits = part.chars();
        let two = [digits.next(), digits.next()];
        let digit = |c: &Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
        two.iter().all(digit) && digits.all(good)
    };
    path.starts_with('/') && first.chars().all(good) && parts.all(escaped)
}
