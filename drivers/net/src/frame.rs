//! What a received frame is, and whether the stack may see it.
//!
//! smoltcp takes what a DHCP server says at its word, and panics at some of it; and it answers whom
//! nobody should answer. Such frames end here. So do TCP segments in fragments or
//! behind IPv6 options: nobody sends them, and they could not be led to their connection.

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpCidr, IpEndpoint, IpProtocol,
    Ipv4Address, Ipv4Packet, Ipv6Address, Ipv6Packet, TcpPacket, UdpPacket,
};

/// Both ends of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tuple {
    pub(crate) local: IpEndpoint,
    pub(crate) remote: IpEndpoint,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For the stack, which will make of it what it can.
    Plain,
    /// The same, and it may say where a neighbour is.
    Neighbor,
    /// A router speaks; the stack need not hear it.
    Advert,
    /// A segment of this connection, or one that begins it.
    Tcp {
        tuple: Tuple,
        /// It asks for a connection.
        opens: bool,
    },
    /// The stack must not see it.
    Refused,
}

/// The longest packet that is put together. smoltcp has memory for four, as much as they need, and
/// does not give it back; and it could not answer a longer one.
const LONGEST_REASSEMBLED: usize = 16 << 10;
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
const MULTICAST_DNS: u16 = 5353;
const ALL_NODES: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Echo requests of ICMP and of ICMPv6.
const ECHO: u8 = 8;
const ECHO_V6: u8 = 128;
/// ICMPv6 types (RFC 2710, RFC 4861).
const MULTICAST_QUERY: u8 = 130;
const ROUTER_ADVERT: u8 = 134;
const NEIGHBOR_SOLICIT: u8 = 135;
const NEIGHBOR_ADVERT: u8 = 136;

/// What `frame` is to an interface with these addresses.
///
/// What the stack would not take in any case is refused before a connection is made for it.
pub(crate) fn judge(frame: &[u8], mac: [u8; 6], own: &[IpCidr]) -> Kind {
    let Ok(frame) = EthernetFrame::new_checked(frame) else {
        return Kind::Plain;
    };
    let to = frame.dst_addr();
    if !frame.src_addr().is_unicast() || to.is_unicast() && to != EthernetAddress(mac) {
        return Kind::Refused;
    }
    match frame.ethertype() {
        EthernetProtocol::Arp => Kind::Neighbor,
        EthernetProtocol::Ipv4 => ipv4(frame.dst_addr(), frame.payload(), own),
        EthernetProtocol::Ipv6 => ipv6(frame.dst_addr(), frame.payload(), own),
        EthernetProtocol::Unknown(_) => Kind::Plain,
    }
}

fn ipv4(to: EthernetAddress, packet: &[u8], own: &[IpCidr]) -> Kind {
    let Ok(packet) = Ipv4Packet::new_checked(packet) else {
        return Kind::Plain;
    };
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    if source.is_unspecified()
        || source.is_broadcast()
        || source.is_multicast()
        || source.is_loopback()
        || destination.is_loopback()
        || destination.is_unspecified()
        || is_own(source.into(), own)
        || own.iter().any(|cidr| is_broadcast_of(source, cidr))
    {
        return Kind::Refused;
    }
    let fragment = packet.more_frags() || packet.frag_offset() != 0;
    let end = usize::from(packet.frag_offset()) + packet.payload().len();
    if !packet.verify_checksum() || fragment && end > LONGEST_REASSEMBLED {
        return Kind::Refused;
    }
    match packet.next_header() {
        IpProtocol::Tcp if fragment => Kind::Refused,
        IpProtocol::Tcp => {
            let payload = packet.payload();
            tcp(to, source.into(), destination.into(), payload, own)
        }
        IpProtocol::Udp if !fragment => udp(source, packet.payload()),
        _ => Kind::Plain,
    }
}

/// A DHCP server's address is where a lease is renewed. smoltcp takes what comes from the port of
/// multicast DNS for an answer of the name server's, whoever sent it.
fn udp(source: Ipv4Address, datagram: &[u8]) -> Kind {
    let Ok(datagram) = UdpPacket::new_checked(datagram) else {
        return Kind::Plain;
    };
    let from_server = datagram.src_port() == DHCP_SERVER && datagram.dst_port() == DHCP_CLIENT;
    let nobodys = matches!(datagram.src_port(), 0 | MULTICAST_DNS);
    if nobodys || from_server && !is_host(source) {
        return Kind::Refused;
    }
    Kind::Plain
}

fn ipv6(to: EthernetAddress, packet: &[u8], own: &[IpCidr]) -> Kind {
    let Ok(packet) = Ipv6Packet::new_checked(packet) else {
        return Kind::Plain;
    };
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    if source.is_loopback()
        || source.is_multicast()
        || destination.is_loopback()
        || destination.is_unspecified()
        || is_own(source.into(), own)
    {
        return Kind::Refused;
    }
    let payload = packet.payload();
    match packet.next_header() {
        IpProtocol::Tcp => tcp(to, source.into(), destination.into(), payload, own),
        // What a router says to another host comes here too where a bridge does not know that one.
        IpProtocol::Icmpv6
            if icmpv6(payload) == Kind::Advert
                && destination != ALL_NODES
                && !is_own(destination.into(), own) =>
        {
            Kind::Refused
        }
        IpProtocol::Icmpv6 => icmpv6(payload),
        IpProtocol::HopByHop => {
            // Next header, and a length in units of 8 bytes without the first (RFC 8200).
            let (Some(next), Some(length)) = (payload.first(), payload.get(1)) else {
                return Kind::Refused;
            };
            let rest = payload.get((usize::from(*length) + 1) * 8..);
            match (IpProtocol::from(*next), rest) {
                (IpProtocol::Icmpv6, Some(rest)) if icmpv6(rest) != Kind::Advert => icmpv6(rest),
                _ => Kind::Refused,
            }
        }
        _ => Kind::Plain,
    }
}

fn icmpv6(message: &[u8]) -> Kind {
    match message.first() {
        Some(&ROUTER_ADVERT) => Kind::Advert,
        Some(&(NEIGHBOR_SOLICIT | NEIGHBOR_ADVERT)) => Kind::Neighbor,
        Some(&MULTICAST_QUERY) if !asks_for_group(message) => Kind::Refused,
        _ => Kind::Plain,
    }
}

/// Whether `frame` is an echo request, whole, from one host to one of these addresses.
pub(crate) fn asks_echo(frame: &[u8], own: &[IpCidr]) -> bool {
    let Ok(frame) = EthernetFrame::new_checked(frame) else {
        return false;
    };
    let (protocol, to, message) = match frame.ethertype() {
        EthernetProtocol::Ipv4 => match Ipv4Packet::new_checked(frame.payload()) {
            Ok(packet) if !packet.more_frags() && packet.frag_offset() == 0 => {
                let message = packet.payload().first();
                (packet.next_header(), packet.dst_addr().into(), message)
            }
            _ => return false,
        },
        EthernetProtocol::Ipv6 => match Ipv6Packet::new_checked(frame.payload()) {
            Ok(packet) => {
                let message = packet.payload().first();
                (packet.next_header(), packet.dst_addr().into(), message)
            }
            Err(_) => return false,
        },
        _ => return false,
    };
    let asks = matches!(
        (protocol, message),
        (IpProtocol::Icmp, Some(&ECHO)) | (IpProtocol::Icmpv6, Some(&ECHO_V6))
    );
    asks && is_own(to, own)
}

/// Whether a query is for a group, or for all. smoltcp 0.14 takes an address of the interface's own
/// for a group too, and panics when it reports that.
fn asks_for_group(query: &[u8]) -> bool {
    let address: Option<[u8; 16]> = query.get(8..24).and_then(|bytes| bytes.try_into().ok());
    let address = address.map(Ipv6Address::from);
    address.is_some_and(|address| address.is_unspecified() || address.is_multicast())
}

fn tcp(
    to: EthernetAddress,
    source: IpAddress,
    destination: IpAddress,
    segment: &[u8],
    own: &[IpCidr],
) -> Kind {
    if !to.is_unicast() || !destination.is_unicast() || destination.is_broadcast() {
        return Kind::Refused;
    }
    let Ok(segment) = TcpPacket::new_checked(segment) else {
        return Kind::Refused;
    };
    let unspecified = source.is_unspecified() || segment.src_port() == 0 || segment.dst_port() == 0;
    if unspecified || !is_own(destination, own) {
        return Kind::Refused;
    }
    Kind::Tcp {
        tuple: Tuple {
            local: IpEndpoint::new(destination, segment.dst_port()),
            remote: IpEndpoint::new(source, segment.src_port()),
        },
        opens: segment.syn() && !segment.ack() && !segment.rst() && !segment.fin(),
    }
}

fn is_own(address: IpAddress, own: &[IpCidr]) -> bool {
    own.iter().any(|cidr| cidr.address() == address)
}

fn is_broadcast_of(address: Ipv4Address, cidr: &IpCidr) -> bool {
    match cidr {
        IpCidr::Ipv4(cidr) => cidr.broadcast() == Some(address),
        IpCidr::Ipv6(_) => false,
    }
}

/// Whether one host can have this address.
pub(crate) fn is_host(address: Ipv4Address) -> bool {
    // 0/8 is "this network" and 240/4 is for nobody (RFC 6890).
    let [first, ..] = address.octets();
    first != 0 && first < 240 && !address.is_loopback() && !address.is_multicast()
}

/// Whether one host can have this address.
pub(crate) fn is_host_v6(address: Ipv6Address) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}
