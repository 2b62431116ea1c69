//! Acknowledgements of much, told to the stack piece by piece.
//!
//! smoltcp 0.14 lets its congestion window grow by a segment for each acknowledgement, however much
//! that acknowledges. A peer that is sent segments of 64 KiB acknowledges rarely: after hundreds of
//! round trips the window would still be too small for such a stream, and go out with a little
//! segment behind each few long ones. It is bytes that should count, of one acknowledgement those
//! of [`MOST`] segments (RFC 3465; RFC 9406 has the number).

use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
    TcpSeqNumber,
};

/// Segments that one acknowledgement counts for.
const MOST: usize = 8;
const ETHERNET: usize = 14;
const IPV6: usize = 40;
/// Bytes of a TCP header without options.
const TCP: usize = 20;
/// Bytes of the longest headers: those of Ethernet, of IPv4 with all its options, and of TCP.
const LONGEST: usize = ETHERNET + 60 + TCP;

/// What the peer of a connection has acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Growth {
    acknowledged: Option<TcpSeqNumber>,
}

/// Segments that acknowledge parts of what another acknowledges.
pub(crate) struct Pieces {
    headers: Headers,
    next: TcpSeqNumber,
    /// Bytes that each acknowledges.
    step: usize,
    left: usize,
}

impl Growth {
    /// The segment in `frame` has come. Returns what the stack is to hear before it; of a
    /// connection that has sent what is before `sent`, in segments of `segment` bytes.
    pub(crate) fn hear(
        &mut self,
        frame: &[u8],
        sent: Option<TcpSeqNumber>,
        segment: usize,
    ) -> Option<Pieces> {
        let (headers, acknowledged) = Headers::read(frame)?;
        let Some(before) = self.acknowledged else {
            self.acknowledged = Some(acknowledged);
            return None;
        };
        // What was never sent, and what was acknowledged before, the stack judges alone.
        if acknowledged <= before || sent.is_none_or(|sent| acknowledged > sent) {
            return None;
        }
        self.acknowledged = Some(acknowledged);
        let steps = ((acknowledged - before) / segment.max(1)).min(MOST);
        (steps > 1).then(|| Pieces {
            headers,
            next: before + segment,
            step: segment,
            // The last is the segment itself.
            left: steps - 1,
        })
    }
}

impl Pieces {
    /// The next one's frame.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        self.left = self.left.checked_sub(1)?;
        let acknowledged = self.next;
        self.next = acknowledged + self.step;
        Some(self.headers.acknowledge(acknowledged))
    }
}

/// The headers of a segment without options or payload.
struct Headers {
    bytes: [u8; LONGEST],
    /// Where TCP's begin.
    tcp: usize,
    source: IpAddress,
    destination: IpAddress,
}

impl Headers {
    /// Those of the segment in `frame`, and what it acknowledges; nothing if it does more than
    /// carry bytes.
    fn read(frame: &[u8]) -> Option<(Self, TcpSeqNumber)> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let (header, source, destination) = match ethernet.ethertype() {
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
                let ends = (packet.src_addr().into(), packet.dst_addr().into());
                let tcp = packet.next_header() == IpProtocol::Tcp;
                tcp.then_some((usize::from(packet.header_len()), ends.0, ends.1))?
            }
            EthernetProtocol::Ipv6 => {
                let packet = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
                let ends = (packet.src_addr().into(), packet.dst_addr().into());
                let tcp = packet.next_header() == IpProtocol::Tcp;
                tcp.then_some((IPV6, ends.0, ends.1))?
            }
            _ => return None,
        };
        let at = ETHERNET + header;
        let segment = TcpPacket::new_checked(frame.get(at..)?).ok()?;
        if !segment.ack() || segment.syn() || segment.rst() || segment.fin() || segment.urg() {
            return None;
        }
        let mut bytes = [0; LONGEST];
        bytes
            .get_mut(..at + TCP)?
            .copy_from_slice(frame.get(..at + TCP)?);
        if header == IPV6 && ethernet.ethertype() == EthernetProtocol::Ipv6 {
            Ipv6Packet::new_unchecked(bytes.get_mut(ETHERNET..)?).set_payload_len(TCP as u16);
        } else {
            let mut packet = Ipv4Packet::new_unchecked(bytes.get_mut(ETHERNET..)?);
            packet.set_total_len((header + TCP) as u16);
            packet.fill_checksum();
        }
        let mut piece = TcpPacket::new_unchecked(bytes.get_mut(at..at + TCP)?);
        piece.set_header_len(TCP as u8);
        piece.set_psh(false);
        let headers = Self {
            bytes,
            tcp: at,
            source,
            destination,
        };
        Some((headers, segment.ack_number()))
    }

    fn acknowledge(&mut self, to: TcpSeqNumber) -> &[u8] {
        let end = self.tcp + TCP;
        if let Some(segment) = self.bytes.get_mut(self.tcp..end) {
            let mut segment = TcpPacket::new_unchecked(segment);
            segment.set_ack_number(to);
            segment.fill_checksum(&self.source, &self.destination);
        }
        self.bytes.get(..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use smoltcp::wire::TcpControl;

    use super::*;
    use crate::segment::tests::frame_of;

    const SEGMENT: usize = 1000;

    fn frame(six: bool, acknowledged: i32, control: TcpControl, payload: &[u8]) -> Vec<u8> {
        let mut bytes = frame_of(six, 9, control, payload);
        let at = if six { 62 } else { 42 };
        bytes[at..at + 4].copy_from_slice(&acknowledged.to_be_bytes());
        bytes
    }

    /// What the pieces acknowledge; they are whole and right.
    fn pieces(growth: &mut Growth, frame: &[u8], sent: i32) -> Vec<i32> {
        let mut found = Vec::new();
        let Some(mut pieces) = growth.hear(frame, Some(TcpSeqNumber(sent)), SEGMENT) else {
            return found;
        };
        while let Some(piece) = pieces.next() {
            let ethernet = EthernetFrame::new_checked(piece).unwrap();
            let six = ethernet.ethertype() == EthernetProtocol::Ipv6;
            let (source, destination): (IpAddress, IpAddress) = if six {
                let packet = Ipv6Packet::new_checked(ethernet.payload()).unwrap();
                assert_eq!(packet.total_len(), ethernet.payload().len());
                (packet.src_addr().into(), packet.dst_addr().into())
            } else {
                let packet = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
                assert!(packet.verify_checksum());
                assert_eq!(usize::from(packet.total_len()), ethernet.payload().len());
                (packet.src_addr().into(), packet.dst_addr().into())
            };
            let header = if six { IPV6 } else { 20 };
            let segment = TcpPacket::new_checked(&ethernet.payload()[header..]).unwrap();
            assert!(segment.verify_checksum(&source, &destination));
            assert!(segment.ack() && !segment.psh() && segment.payload().is_empty());
            assert_eq!((segment.seq_number().0, segment.window_len()), (7, 9));
            found.push(segment.ack_number().0);
        }
        found
    }

    #[test]
    fn bytes_count_and_not_acknowledgements_up_to_eight_segments_of_them() {
        for six in [false, true] {
            for first in [0, i32::MAX - 3000] {
                let mut growth = Growth::default();
                let sent = first.wrapping_add(200_000);
                let mut hear = |more: i32, payload: &[u8]| {
                    let to = first.wrapping_add(more);
                    let frame = frame(six, to, TcpControl::Psh, payload);
                    let found = pieces(&mut growth, &frame, sent);
                    let from_first = found.iter().map(|to| to.wrapping_sub(first));
                    from_first.collect::<Vec<_>>()
                };
                assert_eq!(hear(0, b""), []);
                assert_eq!(hear(1999, b""), []);
                assert_eq!(hear(5999, b"data"), [2999, 3999, 4999]);
                let seven: Vec<_> = (1..8).map(|place| 5999 + place * 1000).collect();
                assert_eq!(hear(105_999, b""), seven);
                assert_eq!(hear(105_999, b""), [], "again");
                assert_eq!(hear(5999, b""), [], "an old one");
                assert_eq!(hear(107_999, b""), [106_999]);
            }
        }
    }

    #[test]
    fn n25_what_was_never_sent_is_not_acknowledged_in_pieces() {
        let mut growth = Growth::default();
        let heard = |growth: &mut Growth, to, control, sent| {
            pieces(growth, &frame(false, to, control, b""), sent)
        };
        assert_eq!(heard(&mut growth, 0, TcpControl::None, 0), []);
        assert_eq!(heard(&mut growth, 5001, TcpControl::None, 5000), []);
        for control in [TcpControl::Syn, TcpControl::Rst, TcpControl::Fin] {
            assert_eq!(heard(&mut growth, 5000, control, 5000), []);
        }
        let whole = frame(false, 5000, TcpControl::None, b"");
        for length in 0..whole.len() {
            assert_eq!(pieces(&mut growth, &whole[..length], 5000), []);
        }
        assert!(growth.hear(&whole, None, SEGMENT).is_none());
        assert_eq!(pieces(&mut growth, &whole, 5000).len(), 4);
    }
}
