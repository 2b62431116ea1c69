use smoltcp::wire::{Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket};

use super::{Segments, accept, prepare, queue};
use crate::feature::Features;
use crate::frame::tests::{ipv4, ipv6, tcp, udp};
use crate::frame::{ETHERNET, TCP, UDP};

const NONE: Features = Features {
    sg: true,
    gso_tcpv4: false,
    gso_tcpv6: false,
    ipv4_csum: false,
    ipv6_csum: false,
    multicast: false,
    split: false,
    queues: 1,
};

const ALL: Features = Features {
    gso_tcpv4: true,
    gso_tcpv6: true,
    ipv4_csum: true,
    ipv6_csum: true,
    ..NONE
};

/// Frames of TCP over both, with odd and even lengths.
fn segments() -> Vec<Vec<u8>> {
    let hop: (u8, &[u8]) = (0, &[0, 1, 4, 0, 0, 0, 0]);
    [&b"even"[..], b"odd", b""]
        .into_iter()
        .flat_map(|payload| {
            [
                ipv4(TCP, 0x4000, &[], &tcp(payload)),
                ipv4(TCP, 0, &[1; 4], &tcp(payload)),
                ipv6(TCP, &[], &tcp(payload)),
                ipv6(TCP, &[hop], &tcp(payload)),
            ]
        })
        .collect()
}

/// What smoltcp says of the checksum.
fn is_good(frame: &[u8]) -> bool {
    if frame[12..14] == [8, 0] {
        let packet = Ipv4Packet::new_checked(&frame[ETHERNET..]).unwrap();
        let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
        match packet.next_header().into() {
            TCP => TcpPacket::new_checked(packet.payload())
                .unwrap()
                .verify_checksum(&from, &to),
            _ => UdpPacket::new_checked(packet.payload())
                .unwrap()
                .verify_checksum(&from, &to),
        }
    } else {
        let packet = Ipv6Packet::new_checked(&frame[ETHERNET..]).unwrap();
        let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
        let payload = match packet.next_header().into() {
            0 => &packet.payload()[8..],
            _ => packet.payload(),
        };
        let datagram = u8::from(packet.next_header()) == UDP;
        if datagram {
            UdpPacket::new_checked(payload)
                .unwrap()
                .verify_checksum(&from, &to)
        } else {
            TcpPacket::new_checked(payload)
                .unwrap()
                .verify_checksum(&from, &to)
        }
    }
}

#[test]
fn a_checksum_is_made_where_the_backend_does_not() {
    for mut frame in segments() {
        let work = prepare(&mut frame, &NONE, Some(1));
        assert!(!work.blank && work.segments.is_none());
        assert!(is_good(&frame));
    }
}

#[test]
fn a_blank_checksum_is_finished_by_adding_the_rest() {
    for mut frame in segments() {
        let work = prepare(&mut frame, &ALL, None);
        assert!(work.blank && work.segments.is_none());
        assert!(!is_good(&frame));
        // As a backend does: the sum of what is there, the pseudo-header's in the field.
        let super::Content::Whole(segment) = super::content(&frame) else {
            panic!("it is TCP");
        };
        let sum = super::fold(super::add(0, &frame[segment.start..segment.end]));
        super::set_field(&mut frame, &segment, !sum);
        assert!(is_good(&frame));
    }
}

#[test]
fn each_version_has_its_own_offload() {
    let only = |ipv4_csum, ipv6_csum| Features {
        ipv4_csum,
        ipv6_csum,
        ..NONE
    };
    let four = ipv4(TCP, 0, &[], &tcp(b"abc"));
    let six = ipv6(TCP, &[], &tcp(b"abc"));
    for (features, blank) in [
        (only(true, false), (true, false)),
        (only(false, true), (false, true)),
    ] {
        let of = |frame: &[u8]| prepare(&mut frame.to_vec(), &features, None).blank;
        assert_eq!((of(&four), of(&six)), blank);
    }
}

#[test]
fn only_what_is_longer_than_a_segment_is_cut() {
    let payload = [7; 100];
    let size = |frame: Vec<u8>, size, features| {
        let mut frame = frame;
        prepare(&mut frame, features, size).segments
    };
    let four = || ipv4(TCP, 0, &[], &tcp(&payload));
    let six = || ipv6(TCP, &[], &tcp(&payload));
    let cut = |v6| Some(Segments { size: 99, v6 });
    assert_eq!(size(four(), Some(99), &ALL), cut(false));
    assert_eq!(size(six(), Some(99), &ALL), cut(true));
    assert_eq!(size(four(), Some(100), &ALL), None);
    assert_eq!(size(four(), None, &ALL), None);
    let datagram = ipv4(UDP, 0, &[], &udp(&payload));
    assert_eq!(size(datagram, Some(9), &ALL), None);
    let other = Features {
        gso_tcpv6: false,
        ..ALL
    };
    assert_eq!(size(six(), Some(99), &other), None);
}

#[test]
fn received_segments_are_checked_unless_somebody_has() {
    for mut frame in segments() {
        prepare(&mut frame, &NONE, None);
        assert!(accept(&mut frame, false, false));
        let last = frame.len() - 1;
        frame[last] ^= 1;
        assert!(!accept(&mut frame, false, false));
        assert!(accept(&mut frame, true, false) && accept(&mut frame, false, true));
    }
}

#[test]
fn a_blank_datagram_is_finished_and_others_are_left_to_the_stack() {
    for frame in [
        ipv4(UDP, 0, &[], &udp(b"abc")),
        ipv6(UDP, &[], &udp(b"four")),
    ] {
        let mut finished = frame.clone();
        assert!(accept(&mut finished, true, false));
        assert!(is_good(&finished) && finished != frame);
        let mut left = frame.clone();
        assert!(accept(&mut left, false, false));
        assert_eq!(left, frame);
    }
}

#[test]
fn a_datagram_whose_sum_is_zero_says_so_by_the_other_zero() {
    // One with a payload that makes the sum so.
    let mut frame = ipv4(UDP, 0, &[], &udp(&[0, 0]));
    assert!(accept(&mut frame, true, false));
    let sum = [frame[40], frame[41]];
    let end = frame.len();
    frame[end - 2..].copy_from_slice(&sum);
    assert!(accept(&mut frame, true, false));
    assert_eq!(frame[40..42], [0xff, 0xff]);
    assert!(is_good(&frame));
}

#[test]
fn parts_of_segments_are_not_taken_unchecked() {
    let part = |protocol| ipv4(protocol, 0x2000, &[], &tcp(b"abc"));
    assert!(!accept(&mut part(TCP), false, false));
    assert!(accept(&mut part(TCP), false, true));
    // The stack checks the whole.
    assert!(accept(&mut part(UDP), false, false));
    let mut echo = ipv4(1, 0, &[], &[8, 0, 0, 0]);
    assert!(accept(&mut echo, true, false));
}

#[test]
fn a_flow_stays_in_its_queue_and_flows_are_spread() {
    let mut seen = [0; 4];
    for port in 0..64u8 {
        let mut segment = tcp(b"abc");
        segment[1] = port;
        let first = queue(&ipv4(TCP, 0, &[], &segment), 4);
        segment.push(9);
        assert_eq!(queue(&ipv4(TCP, 0, &[], &segment), 4), first);
        seen[first] += 1;
    }
    assert!(seen.iter().all(|count| *count > 4), "{seen:?}");
    assert_eq!(queue(&[0; 60], 4), 0);
}
