//! `/capture.pcap`: packets as they pass. `seconds=` says for how long, at most 60; `interface=`
//! may name one. Packets of the page itself are left out. Others' are whole, so a client
//! needs the token.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::{Pin, pin};
use core::time::Duration;

use exec::Sleep;
use futures_util::future::{Either, select};
use futures_util::{FutureExt, stream};
use http::{Response, Status};
use net::Capture;

use crate::collect::Page;
use crate::turn::Turn;

/// The type of such a file.
pub const TYPE: &str = "application/vnd.tcpdump.pcap";
/// Seconds, if nothing is said.
const USUAL: u64 = 10;
/// Seconds at most.
const LONGEST: u64 = 60;
/// Bytes of a packet that are kept.
const SNAPLEN: usize = 65535;
/// Bytes that are sent at once.
const PIECE: usize = 8192;

/// Captures for as long as `query` says. One captures at a time.
pub(crate) fn answer(page: &Rc<Page>, query: &str) -> Response {
    let Some((seconds, interface)) = wanted(query) else {
        let why = "seconds=1 to 60, interface=a name";
        return Response::error(Status::BadRequest, why);
    };
    let Some(turn) = page.capturing.begin() else {
        return Response::error(Status::Unavailable, "another client captures");
    };
    let capture = page.net.capture(interface, SNAPLEN);
    let session = Session {
        header: Some(capture.pcap_header().to_vec()),
        end: Box::pin(page.exec.sleep(Duration::from_secs(seconds))),
        port: page.port,
        capture,
        _turn: turn,
    };
    let packets = stream::unfold(session, |mut session| async move {
        let piece = session.next().await?;
        Some((piece, session))
    });
    Response::stream(TYPE, Box::pin(packets))
        .with("Content-Disposition: attachment; filename=\"xenolith.pcap\"")
}

/// Seconds and interface; `None` if they are none.
fn wanted(query: &str) -> Option<(u64, Option<String>)> {
    let (mut seconds, mut interface) = (USUAL, None);
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=')? {
            ("seconds", value) => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                seconds = value.parse().ok().filter(|_| digits)?;
            }
            ("interface", name) => {
                let good = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
                interface = Some(String::from(name)).filter(|_| good && !name.is_empty());
                interface.as_ref()?;
            }
            _ => return None,
        }
    }
    (1..=LONGEST)
        .contains(&seconds)
        .then_some((seconds, interface))
}

struct Session {
    header: Option<Vec<u8>>,
    capture: Capture,
    end: Pin<Box<Sleep>>,
    port: u16,
    _turn: Turn,
}

impl Session {
    /// What passed since the last time; `None` at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(header) = self.header.take() {
            return Some(header);
        }
        let mut piece = Vec::new();
        while piece.is_empty() {
            let mut packet = Some(before(&mut self.end, self.capture.next()).await??);
            while let Some(captured) = packet.take() {
                if !is_of_port(&captured.bytes, self.port) {
                    piece.extend_from_slice(&captured.pcap_record());
                }
                if piece.len() < PIECE {
                    packet = self.capture.next().now_or_never().flatten();
                }
            }
        }
        Some(piece)
    }
}

/// What comes next, unless the end does. That is looked at first: there may always be a next.
async fn before<T>(
    end: &mut (impl Future<Output = ()> + Unpin),
    next: impl Future<Output = T>,
) -> Option<T> {
    match select(end, pin!(next)).await {
        Either::Left(_) => None,
        Either::Right((next, _)) => Some(next),
    }
}

/// Whether an Ethernet frame belongs to a TCP connection of `port`. What is sent here would
/// otherwise be captured, and sent, and captured.
fn is_of_port(frame: &[u8], port: u16) -> bool {
    let word = |at: usize| {
        let pair = frame.get(at..at + 2)?;
        Some(u16::from_be_bytes([*pair.first()?, *pair.last()?]))
    };
    const TCP: u8 = 6;
    let byte = |at: usize| frame.get(at).copied();
    let tcp = match word(12) {
        Some(0x0800) if byte(23) == Some(TCP) => 14 + 4 * usize::from(byte(14).unwrap_or(0) & 15),
        Some(0x86dd) if byte(20) == Some(TCP) => 14 + 40,
        _ => return false,
    };
    [word(tcp), word(tcp + 2)].contains(&Some(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_queries_can_be_meant() {
        assert_eq!(wanted(""), Some((10, None)));
        assert_eq!(wanted("seconds=60"), Some((60, None)));
        let both = Some((1, Some("xn0".into())));
        assert_eq!(wanted("interface=xn0&seconds=1"), both);
        for bad in [
            "seconds=0",
            "seconds=61",
            "seconds=+5",
            "seconds=",
            "seconds",
            "interface=",
            "interface=../x",
            "minutes=1",
            "seconds=99999999999999999999",
        ] {
            assert_eq!(wanted(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_packets_of_the_page_itself_are_known_by_their_port() {
        let mut frame = vec![0; 14 + 20 + 20];
        (frame[12], frame[14], frame[23]) = (8, 0x45, 6);
        frame[34..38].copy_from_slice(&[0x12, 0x34, 0, 80]);
        assert!(is_of_port(&frame, 80) && is_of_port(&frame, 0x1234));
        assert!(!is_of_port(&frame, 81));
        frame[23] = 17;
        assert!(!is_of_port(&frame, 80), "UDP");
        for length in 0..frame.len() {
            is_of_port(&frame[..length], 80);
        }
        let mut frame = vec![0; 14 + 40 + 20];
        (frame[12], frame[13], frame[20]) = (0x86, 0xdd, 6);
        frame[54..58].copy_from_slice(&[0, 80, 1, 2]);
        assert!(is_of_port(&frame, 80) && !is_of_port(&frame[..50], 80));
    }

    #[test]
    fn p08_the_end_comes_though_there_is_always_a_next() {
        use core::future::{pending, ready};
        let now = |next| before(&mut ready(()), next).now_or_never();
        assert_eq!(now(ready(1)), Some(None));
        let later = before(&mut pending(), ready(1)).now_or_never();
        assert_eq!(later, Some(Some(1)));
    }
}
