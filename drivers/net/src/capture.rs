//! Packets as they pass.

use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::time::Duration;

use exec::Notify;
use hv::Instant;

use crate::decode;

/// What a capture keeps: packets, and bytes of them.
const PACKETS: usize = 1024;
const BYTES: usize = 256 << 10;
/// What of a packet is kept if nobody says: the headers of every protocol that is decoded.
pub const SNAPLEN: usize = 128;
/// What of a packet is kept at most.
const LONGEST: usize = 64 << 10;
/// Captures at one time.
const CAPTURES: usize = 8;

/// Takes note of the packets that pass while it lives; made by
/// [`Net::capture`](crate::Net::capture). It keeps a bounded number of bytes: what comes when it is
/// full is counted and left out.
#[derive(Debug)]
pub struct Capture {
    inner: Rc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: RefCell<Kept>,
    interface: Option<String>,
    snaplen: usize,
    /// What the time of day is ahead of the domain's clock.
    ahead: Duration,
    more: NotifyMore,
}

/// Displays without what a wait is made of.
#[derive(Default)]
struct NotifyMore(Notify);

impl fmt::Debug for NotifyMore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notify")
    }
}

#[derive(Debug, Default)]
struct Kept {
    packets: VecDeque<Captured>,
    bytes: usize,
    dropped: u64,
    /// Another one has its place.
    ended: bool,
}

/// A captured packet. It displays as tcpdump(8) shows one: a line without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When it passed, on the domain's clock.
    pub at: Instant,
    /// The time of day then, since 1970.
    pub wall: Duration,
    /// Where.
    pub interface: String,
    /// Whether it was sent, not received.
    pub sent: bool,
    /// Its length on the wire, in bytes. One that the backend is to cut is longer than the wire
    /// takes.
    pub length: usize,
    /// Its first bytes, Ethernet header and all.
    pub bytes: Vec<u8>,
}

/// The captures there are.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    taps: Vec<Weak<Inner>>,
}

impl Taps {
    /// A new capture; `ahead` is what the time of day is ahead of the domain's clock.
    pub(crate) fn open(
        &mut self,
        interface: Option<String>,
        snaplen: usize,
        ahead: Duration,
    ) -> Capture {
        self.taps.retain(|tap| tap.strong_count() > 0);
        if self.taps.len() >= CAPTURES
            && let Some(ended) = self.taps.remove(0).upgrade()
        {
            ended.kept.borrow_mut().ended = true;
            ended.more.0.notify();
        }
        let inner = Rc::new(Inner {
            interface,
            snaplen: snaplen.clamp(1, LONGEST),
            ahead,
            ..Inner::default()
        });
        self.taps.push(Rc::downgrade(&inner));
        Capture { inner }
    }

    /// A packet passes.
    pub(crate) fn note(&mut self, interface: &str, at: Instant, sent: bool, frame: &[u8]) {
        if self.taps.is_empty() {
            return;
        }
        self.taps.retain(|tap| {
            let Some(tap) = tap.upgrade() else {
                return false;
            };
            if tap.interface.as_deref().is_none_or(|of| of == interface) {
                tap.note(interface, at, sent, frame);
            }
            true
        });
    }
}

impl Inner {
    fn note(&self, interface: &str, at: Instant, sent: bool, frame: &[u8]) {
        let mut kept = self.kept.borrow_mut();
        let part = frame.get(..self.snaplen).unwrap_or(frame);
        if kept.packets.len() >= PACKETS || kept.bytes + part.len() > BYTES {
            kept.dropped += 1;
            return;
        }
        kept.bytes += part.len();
        kept.packets.push_back(Captured {
            at,
            wall: self.ahead + at.since_start(),
            interface: interface.into(),
            sent,
            length: frame.len(),
            bytes: part.to_vec(),
        });
        self.more.0.notify();
    }
}

impl Capture {
    /// The next packet; waits for one. `None` if another capture has this one's place. For one
    /// waiting task.
    pub async fn next(&self) -> Option<Captured> {
        loop {
            {
                let mut kept = self.inner.kept.borrow_mut();
                if let Some(packet) = kept.packets.pop_front() {
                    kept.bytes -= packet.bytes.len();
                    return Some(packet);
                }
                if kept.ended {
                    return None;
                }
            }
            self.inner.more.0.notified().await;
        }
    }

    /// Packets that came when it was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.inner.kept.borrow().dropped
    }

    /// What a pcap file begins with (pcap-savefile(5), times in microseconds, Ethernet).
    #[must_use]
    pub fn pcap_header(&self) -> [u8; 24] {
        let mut header = [0; 24];
        let snaplen = u32::try_from(self.inner.snaplen).unwrap_or(u32::MAX);
        let [magic, version, link] = [0xa1b2_c3d4, 2 | 4 << 16, 1_u32];
        header[..4].copy_from_slice(&magic.to_le_bytes());
        header[4..8].copy_from_slice(&version.to_le_bytes());
        header[16..20].copy_from_slice(&snaplen.to_le_bytes());
        header[20..].copy_from_slice(&link.to_le_bytes());
        header
    }
}

impl Captured {
    /// It as a record of a pcap file: time, length kept, length, bytes.
    #[must_use]
    pub fn pcap_record(&self) -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        // A pcap file's seconds have 32 bits.
        let seconds = u32::try_from(self.wall.as_secs()).unwrap_or(u32::MAX);
        let words = [
            seconds,
            self.wall.subsec_micros(),
            number(self.bytes.len()),
            number(self.length),
        ];
        let mut record: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        record.extend_from_slice(&self.bytes);
        record
    }
}

impl fmt::Display for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.wall.as_secs();
        let [hours, minutes] = [seconds / 3600 % 24, seconds / 60 % 60];
        let (seconds, micros) = (seconds % 60, self.wall.subsec_micros());
        let way = if self.sent { "Out" } else { "In " };
        let name = &self.interface;
        write!(
            f,
            "{hours:02}:{minutes:02}:{seconds:02}.{micros:06} {name} {way} "
        )?;
        decode::frame(f, &self.bytes, self.length)
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn it_keeps_so_much_and_counts_the_rest_and_costs_nothing_once_dropped() {
        let mut taps = Taps::default();
        let capture = taps.open(Some("xn0".into()), 100, Duration::ZERO);
        for _ in 0..PACKETS + 5 {
            taps.note("xn0", Instant(0), false, &[0; 1500]);
            taps.note("xn1", Instant(0), false, &[0; 1500]);
        }
        let kept = capture.inner.kept.borrow();
        assert_eq!((kept.packets.len(), kept.dropped), (PACKETS, 5));
        assert_eq!(kept.bytes, PACKETS * 100);
        drop(kept);
        drop(capture);
        taps.note("xn0", Instant(0), false, &[0; 1500]);
        assert!(taps.taps.is_empty());
    }

    #[test]
    fn a_pcap_file_is_what_its_manual_says() {
        let mut taps = Taps::default();
        let ahead = Duration::from_secs(1000);
        let capture = taps.open(None, 4, ahead);
        taps.note("xn0", Instant(2_000_003_000), true, &[1, 2, 3, 4, 5, 6]);
        let header = capture.pcap_header();
        assert_eq!(header[..8], [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]);
        assert_eq!(
            header[8..],
            [0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0]
        );
        let packet = capture.inner.kept.borrow().packets[0].clone();
        let expected = [
            0xea, 3, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4,
        ];
        assert_eq!(packet.pcap_record(), expected);
    }

    #[test]
    fn of_so_many_captures_the_oldest_gives_way() {
        let mut taps = Taps::default();
        let open = |_| taps.open(None, 4, Duration::ZERO);
        let open: Vec<_> = (0..=CAPTURES).map(open).collect();
        taps.note("xn0", Instant(0), false, &[0; 60]);
        let counts = open
            .iter()
            .map(|capture| capture.inner.kept.borrow().packets.len());
        let expected = (0..=CAPTURES).map(|at| usize::from(at > 0));
        assert!(counts.eq(expected));
        let mut context = Context::from_waker(Waker::noop());
        let next = |at: usize| open[at].next();
        assert_eq!(pin!(next(0)).poll(&mut context), Poll::Ready(None));
        assert!(pin!(next(1)).poll(&mut context).is_ready());
        assert_eq!(pin!(next(1)).poll(&mut context), Poll::Pending);
    }
}
