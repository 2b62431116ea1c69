//! What smoltcp's segments say otherwise before they leave.

use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
};

use crate::sequence::Sequence;
use crate::window::tell_less;

/// Sees to the window and the sequence number of `frame`, if that is a segment; of a connection
/// that has sent so far what `sequence` says. `sums` says whether its sum is made here.
pub(crate) fn amend(frame: &mut [u8], sequence: &mut Sequence, sums: bool) {
    let Ok(mut frame) = EthernetFrame::new_checked(frame) else {
        return;
    };
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            if let Ok(mut packet) = Ipv4Packet::new_checked(frame.payload_mut())
                && packet.next_header() == IpProtocol::Tcp
            {
                let ends = (packet.src_addr().into(), packet.dst_addr().into());
                amend_segment(packet.payload_mut(), ends, sequence, sums);
            }
        }
        EthernetProtocol::Ipv6 => {
            if let Ok(mut packet) = Ipv6Packet::new_checked(frame.payload_mut())
                && packet.next_header() == IpProtocol::Tcp
            {
                let ends = (packet.src_addr().into(), packet.dst_addr().into());
                amend_segment(packet.payload_mut(), ends, sequence, sums);
            }
        }
        _ => {}
    }
}

fn amend_segment(
    segment: &mut [u8],
    (source, destination): (IpAddress, IpAddress),
    sequence: &mut Sequence,
    sums: bool,
) {
    let Ok(mut segment) = TcpPacket::new_checked(segment) else {
        return;
    };
    tell_less(&mut segment);
    sequence.keep_up(&mut segment);
    if sums {
        segment.fill_checksum(&source, &destination);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        EthernetAddress, EthernetRepr, Ipv4Address, Ipv4Repr, Ipv6Address, Ipv6Repr, TcpControl,
        TcpRepr, TcpSeqNumber,
    };
    use std::vec::Vec;

    use super::*;
    use crate::sequence::Sequence;

    fn frame(six: bool, window: u16, control: TcpControl, fill: u8) -> Vec<u8> {
        frame_of(six, window, control, &[fill; 3])
    }

    pub(crate) fn frame_of(six: bool, window: u16, control: TcpControl, payload: &[u8]) -> Vec<u8> {
        let tcp = TcpRepr {
            src_port: 1,
            dst_port: 2,
            control,
            seq_number: TcpSeqNumber(7),
            ack_number: Some(TcpSeqNumber(9)),
            window_len: window,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let next_header = IpProtocol::Tcp;
        let payload_len = tcp.buffer_len();
        let ethernet = EthernetRepr {
            src_addr: EthernetAddress([2; 6]),
            dst_addr: EthernetAddress([4; 6]),
            ethertype: if six {
                EthernetProtocol::Ipv6
            } else {
                EthernetProtocol::Ipv4
            },
        };
        let header = if six { 40 } else { 20 };
        let mut bytes = vec![0; 14 + header + payload_len];
        ethernet.emit(&mut EthernetFrame::new_unchecked(&mut bytes));
        let sums = ChecksumCapabilities::default();
        let (source, to): (IpAddress, IpAddress) = if six {
            let (src_addr, dst_addr) = (Ipv6Address::from(1 << 64), Ipv6Address::from(2 << 64));
            Ipv6Repr {
                src_addr,
                dst_addr,
                next_header,
                payload_len,
                hop_limit: 64,
            }
            .emit(&mut Ipv6Packet::new_unchecked(&mut bytes[14..]));
            (src_addr.into(), dst_addr.into())
        } else {
            let (src_addr, dst_addr) =
                (Ipv4Address::new(10, 0, 0, 1), Ipv4Address::new(10, 0, 0, 2));
            Ipv4Repr {
                src_addr,
                dst_addr,
                next_header,
                payload_len,
                hop_limit: 64,
            }
            .emit(&mut Ipv4Packet::new_unchecked(&mut bytes[14..]), &sums);
            (src_addr.into(), dst_addr.into())
        };
        let segment = &mut bytes[14 + header..];
        tcp.emit(&mut TcpPacket::new_unchecked(segment), &source, &to, &sums);
        bytes
    }

    #[test]
    fn every_window_but_a_greetings_and_none_is_less_by_one_and_its_sum_is_right() {
        for six in [false, true] {
            for window in [0, 1, 2, 255, 256, 257, 65_535] {
                for fill in 0..=255 {
                    let mut less = frame(six, window, TcpControl::Psh, fill);
                    amend(&mut less, &mut Sequence::default(), true);
                    let said = window.saturating_sub(1);
                    assert_eq!(less, frame(six, said, TcpControl::Psh, fill));
                }
                let mut greeting = frame(six, window, TcpControl::Syn, 1);
                amend(&mut greeting, &mut Sequence::default(), true);
                assert_eq!(greeting, frame(six, window, TcpControl::Syn, 1));
                let mut unsummed = frame(six, window, TcpControl::None, 1);
                let sum_at = if six { 70 } else { 50 };
                unsummed[sum_at..sum_at + 2].fill(0);
                amend(&mut unsummed, &mut Sequence::default(), false);
                assert_eq!(unsummed[sum_at..sum_at + 2], [0, 0]);
            }
        }
    }

    #[test]
    fn what_is_no_segment_is_left_alone() {
        let whole = frame(false, 9, TcpControl::None, 1);
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            amend(&mut cut, &mut Sequence::default(), true);
            assert_eq!(cut, whole[..length]);
        }
        let mut datagram = whole.clone();
        datagram[23] = 17;
        let before = datagram.clone();
        amend(&mut datagram, &mut Sequence::default(), true);
        assert_eq!(datagram, before);
    }

    #[test]
    fn an_acknowledgement_never_goes_back_and_data_does() {
        for six in [false, true] {
            let at = if six { 54 } else { 34 };
            let mut sequence = Sequence::default();
            let mut sent = |from: u32, control, length: usize| {
                let mut bytes = frame_of(six, 9, control, &vec![1; length]);
                bytes[at + 4..at + 8].copy_from_slice(&from.to_be_bytes());
                amend(&mut bytes, &mut sequence, false);
                u32::from_be_bytes(bytes[at + 4..at + 8].try_into().unwrap())
            };
            let first = u32::MAX - 100;
            assert_eq!(sent(first, TcpControl::Syn, 0), first);
            let data = first.wrapping_add(1);
            assert_eq!(sent(data, TcpControl::None, 1000), data);
            assert_eq!(sent(data, TcpControl::None, 10), data, "sent again");
            let end = data.wrapping_add(1000);
            assert_eq!(sent(data.wrapping_add(10), TcpControl::None, 0), end);
            assert_eq!(sent(end, TcpControl::Fin, 0), end);
            assert_eq!(sent(data, TcpControl::None, 0), end.wrapping_add(1));
            assert_eq!(sent(data, TcpControl::Rst, 0), data, "a reset is as it is");
            assert_eq!(sent(5, TcpControl::Syn, 0), 5, "another life");
            assert_eq!(sent(5, TcpControl::None, 0), 6);
        }
    }
}
