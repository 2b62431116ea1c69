//! IPv4 packets that a router may cut.
//!
//! smoltcp 0.14 forbids it, and then does not listen to the router that cannot send a packet on:
//! where a tunnel is narrower than the wire, a connection would be stuck with its first long
//! packet. So it is allowed; and since pieces are told from those of other packets by a number,
//! each packet gets one. IPv6 has no such way: there the wire must be as narrow as the tunnel.

use smoltcp::wire::{EthernetFrame, EthernetProtocol, Ipv4Packet};

/// The least that a packet may be cut into by a wire that cuts long segments. Each gets a number.
const LEAST: usize = 512;

/// Allows `frame` to be cut, if that was forbidden; `next` is the number of the next packet.
pub(crate) fn allow_pieces(frame: &mut [u8], next: &mut u16) {
    let Ok(mut frame) = EthernetFrame::new_checked(frame) else {
        return;
    };
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return;
    }
    let Ok(mut packet) = Ipv4Packet::new_checked(frame.payload_mut()) else {
        return;
    };
    if !packet.dont_frag() {
        return;
    }
    packet.set_dont_frag(false);
    packet.set_ident(*next);
    packet.fill_checksum();
    // A packet is shorter than 64 KiB.
    *next = next.wrapping_add(1 + (usize::from(packet.total_len()) / LEAST) as u16);
}

#[cfg(test)]
mod tests {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{EthernetAddress, EthernetRepr, IpProtocol, Ipv4Address, Ipv4Repr};
    use std::vec::Vec;

    use super::*;

    fn frame(length: usize) -> Vec<u8> {
        let ethernet = EthernetRepr {
            src_addr: EthernetAddress([2; 6]),
            dst_addr: EthernetAddress([4; 6]),
            ethertype: EthernetProtocol::Ipv4,
        };
        let ip = Ipv4Repr {
            src_addr: Ipv4Address::new(10, 0, 0, 1),
            dst_addr: Ipv4Address::new(10, 0, 0, 2),
            next_header: IpProtocol::Tcp,
            payload_len: length,
            hop_limit: 64,
        };
        let mut bytes = vec![0; 14 + 20 + length];
        ethernet.emit(&mut EthernetFrame::new_unchecked(&mut bytes));
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[14..]);
        ip.emit(&mut packet, &ChecksumCapabilities::default());
        bytes
    }

    #[test]
    fn a_packet_may_be_cut_and_each_of_its_pieces_has_a_number() {
        let mut next = 65_535;
        let mut numbers = Vec::new();
        for length in [0, 60_000, 1460, 1460] {
            let mut bytes = frame(length);
            allow_pieces(&mut bytes, &mut next);
            let packet = Ipv4Packet::new_checked(&bytes[14..]).unwrap();
            assert!(!packet.dont_frag() && packet.verify_checksum());
            numbers.push(packet.ident());
        }
        assert_eq!(numbers, [65_535, 0, 118, 121]);
    }

    #[test]
    fn what_may_be_cut_already_or_is_no_packet_is_left_alone() {
        let mut next = 7;
        let mut piece = frame(100);
        allow_pieces(&mut piece, &mut next);
        let before = piece.clone();
        allow_pieces(&mut piece, &mut next);
        assert_eq!((piece, next), (before, 8));
        for length in 0..34 {
            let mut cut = frame(0)[..length].to_vec();
            allow_pieces(&mut cut, &mut next);
            assert_eq!(cut, frame(0)[..length]);
        }
    }
}
