//! Frames of every wrong shape.

use std::cell::Cell;
use std::time::Duration;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv6Packet, Icmpv6Repr,
    IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, Ipv6Address, Ipv6Packet, Ipv6Repr,
    NdiscPrefixInfoFlags, NdiscPrefixInformation, NdiscRepr, NdiscRouterFlags, TcpControl,
    TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};

use super::tcp::{at, echo};
use super::world::{Host, World, scramble};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
pub(super) const STRANGER: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 0x66]);

/// A frame with `payload` from one address to another.
pub(super) fn ipv4(
    to: [u8; 6],
    (source, destination): (Ipv4Address, Ipv4Address),
    next_header: IpProtocol,
    payload: &[u8],
) -> Vec<u8> {
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let mut bytes = ethernet(to, EthernetProtocol::Ipv4, ip.buffer_len() + payload.len());
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    packet.payload_mut().copy_from_slice(payload);
    bytes
}

pub(super) fn ethernet(to: [u8; 6], ethertype: EthernetProtocol, length: usize) -> Vec<u8> {
    let repr = EthernetRepr {
        src_addr: STRANGER,
        dst_addr: EthernetAddress(to),
        ethertype,
    };
    let mut bytes = vec![0; repr.buffer_len() + length];
    repr.emit(&mut EthernetFrame::new_unchecked(&mut bytes));
    bytes
}

/// A segment that asks for a connection.
pub(super) fn syn(
    to: [u8; 6],
    (source, from_port): (Ipv4Address, u16),
    (destination, port): (Ipv4Address, u16),
) -> Vec<u8> {
    let repr = TcpRepr {
        src_port: from_port,
        dst_port: port,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(1),
        ack_number: None,
        window_len: 64_000,
        window_scale: None,
        max_seg_size: Some(1460),
        sack_permitted: false,
        sack_ranges: [None, None, None],
        timestamp: None,
        payload: &[],
    };
    let mut segment = vec![0; repr.buffer_len()];
    repr.emit(
        &mut TcpPacket::new_unchecked(&mut segment),
        &source.into(),
        &destination.into(),
        &ChecksumCapabilities::default(),
    );
    ipv4(to, (source, destination), IpProtocol::Tcp, &segment)
}

pub(super) fn udp(
    to: [u8; 6],
    (source, from_port): (Ipv4Address, u16),
    (destination, port): (Ipv4Address, u16),
    payload: &[u8],
) -> Vec<u8> {
    let repr = UdpRepr {
        src_port: from_port,
        dst_port: port,
    };
    let mut datagram = vec![0; repr.header_len() + payload.len()];
    repr.emit(
        &mut UdpPacket::new_unchecked(&mut datagram),
        &source.into(),
        &destination.into(),
        payload.len(),
        |into| into.copy_from_slice(payload),
        &ChecksumCapabilities::default(),
    );
    ipv4(to, (source, destination), IpProtocol::Udp, &datagram)
}

/// A router's advertisement of `prefix`.
fn advertisement(to: [u8; 6], prefix: Ipv6Address, prefix_len: u8) -> Vec<u8> {
    let router = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let all = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let hour = smoltcp::time::Duration::from_secs(3600);
    let repr = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: hour,
        reachable_time: smoltcp::time::Duration::ZERO,
        retrans_time: smoltcp::time::Duration::ZERO,
        lladdr: Some(STRANGER.into()),
        mtu: None,
        prefix_info: Some(NdiscPrefixInformation {
            prefix_len,
            flags: NdiscPrefixInfoFlags::ADDRCONF | NdiscPrefixInfoFlags::ON_LINK,
            valid_lifetime: hour,
            preferred_lifetime: hour,
            prefix,
        }),
    });
    let ip = Ipv6Repr {
        src_addr: router,
        dst_addr: all,
        next_header: IpProtocol::Icmpv6,
        payload_len: repr.buffer_len(),
        hop_limit: 255,
    };
    let length = ip.buffer_len() + repr.buffer_len();
    let mut bytes = ethernet(to, EthernetProtocol::Ipv6, length);
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet);
    repr.emit(
        &router,
        &all,
        &mut Icmpv6Packet::new_unchecked(packet.payload_mut()),
        &ChecksumCapabilities::default(),
    );
    bytes
}

/// 10.0.0.1, with a listener and a UDP port.
pub(super) fn victim(world: &World) -> Host {
    let host = world.host(1, &["10.0.0.1/24,10.0.0.254"], 64);
    world.exec.spawn("echo", echo(host.net.listen(7).unwrap()));
    let mut udp = host.net.udp(53).unwrap();
    world.exec.spawn("udp", async move {
        let mut bytes = [0; 100];
        loop {
            let (count, from) = udp.receive(&mut bytes).await;
            let _sent = udp.send(&bytes[..count], from).await;
        }
    });
    world.run_for(SECOND);
    host
}

/// Whether the host still serves others.
pub(super) fn serves(world: &World) {
    let client = world.host(9, &["10.0.0.9/24"], 64);
    let net = client.net.clone();
    let answered = world.run(MINUTE * 2, async move {
        use embedded_io_async::{Read, Write};
        let mut stream = net.connect(at(1, 7)).await.ok()?;
        stream.write_all(b"still there?").await.ok()?;
        let mut bytes = [0; 12];
        stream.read_exact(&mut bytes).await.ok()?;
        Some(bytes == *b"still there?")
    });
    assert_eq!(answered, Some(Some(true)));
}

fn v4(last: u8) -> Ipv4Address {
    Ipv4Address::new(10, 0, 0, last)
}

#[test]
fn n02_a_routers_sound_prefix_makes_an_address_and_no_other_does() {
    let world = World::new();
    let host = victim(&world);
    let before = host.net.interfaces()[0].addresses.clone();
    let sound = Ipv6Address::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);
    for (prefix, bits) in [
        (sound, 129),
        (sound, 255),
        (sound, 0),
        (sound, 65),
        (Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 0), 64),
        (Ipv6Address::UNSPECIFIED, 64),
        (Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64),
    ] {
        host.port.deliver(advertisement(host.mac(), prefix, bits));
        world.run_for(SECOND);
    }
    let status = &host.net.interfaces()[0];
    assert_eq!(status.addresses, before);
    // It was forwarded, or is not whole.
    for (place, value) in [(21, 64), (60, 1), (53, 2), (5, 9)] {
        let mut frame = advertisement(host.mac(), sound, 64);
        frame[place] = value;
        host.port.deliver(frame);
        world.run_for(SECOND);
    }
    let status = &host.net.interfaces()[0];
    assert_eq!((&status.addresses, status.traffic.refused), (&before, 4));
    host.port.deliver(advertisement(host.mac(), sound, 64));
    world.run_for(SECOND);
    let status = &host.net.interfaces()[0];
    assert_eq!(status.addresses.len(), before.len() + 1);
    let gateways: Vec<_> = status.gateways.iter().map(ToString::to_string).collect();
    assert_eq!(gateways, ["10.0.0.254", "fe80::1"]);
    world.run_for(MINUTE * 61);
    assert_eq!(
        host.net.interfaces()[0].addresses,
        before,
        "it is for an hour"
    );
    serves(&world);
}

#[test]
fn n03_what_nobody_can_have_sent_is_refused() {
    let world = World::new();
    let host = victim(&world);
    let mac = host.mac();
    let me = (v4(1), 7);
    let mut garbled = syn(mac, (v4(9), 9), me);
    garbled[24] ^= 1;
    let mut long = ipv4(mac, (v4(9), v4(1)), IpProtocol::Icmp, &[0; 100]);
    long[20..22].copy_from_slice(&(2048_u16 - 12).to_be_bytes());
    Ipv4Packet::new_unchecked(&mut long[14..]).fill_checksum();
    let frames = [
        ("with a wrong sum", garbled),
        ("the end of a packet that is too long", long),
        ("for another", syn([2, 0, 0, 0, 0, 9], (v4(9), 9), me)),
        (
            "an answer of multicast DNS",
            udp(mac, (v4(9), 5353), (v4(1), 50_000), b"x"),
        ),
        ("from itself", syn(mac, me, me)),
        ("from nobody", syn(mac, (Ipv4Address::UNSPECIFIED, 9), me)),
        ("from everybody", syn(mac, (Ipv4Address::BROADCAST, 9), me)),
        ("from the network's everybody", syn(mac, (v4(255), 9), me)),
        (
            "from a group",
            syn(mac, (Ipv4Address::new(224, 0, 0, 1), 9), me),
        ),
        ("from loopback", syn(mac, (Ipv4Address::LOCALHOST, 9), me)),
        (
            "to loopback",
            syn(mac, (v4(9), 9), (Ipv4Address::LOCALHOST, 7)),
        ),
        (
            "to everybody",
            syn([0xff; 6], (v4(9), 9), (Ipv4Address::BROADCAST, 7)),
        ),
        (
            "to the network's everybody",
            syn([0xff; 6], (v4(9), 9), (v4(255), 7)),
        ),
        (
            "to a group",
            syn(
                [1, 0, 0x5e, 0, 0, 1],
                (v4(9), 9),
                (Ipv4Address::new(224, 0, 0, 1), 7),
            ),
        ),
        ("to all, by Ethernet", syn([0xff; 6], (v4(9), 9), me)),
        ("from port 0", syn(mac, (v4(9), 0), me)),
        ("to port 0", syn(mac, (v4(9), 9), (v4(1), 0))),
        (
            "from nobody",
            udp(mac, (Ipv4Address::UNSPECIFIED, 9), (v4(1), 53), b"x"),
        ),
        (
            "a lease from nobody",
            udp(mac, (Ipv4Address::UNSPECIFIED, 67), (v4(1), 68), b"x"),
        ),
        (
            "a lease of nobody's",
            udp(mac, (Ipv4Address::new(0, 1, 2, 3), 67), (v4(1), 68), b"x"),
        ),
    ];
    for (what, frame) in frames {
        let before = host.net.interfaces()[0].traffic;
        host.port.deliver(frame);
        world.run_for(Duration::from_millis(5));
        let after = host.net.interfaces()[0].traffic;
        assert_eq!(after.refused, before.refused + 1, "{what}");
        assert_eq!(after.sent, before.sent, "{what}");
    }
    let mut fragment = syn(mac, (v4(9), 9), me);
    fragment[20] = 0x20;
    let mut packet = Ipv4Packet::new_unchecked(&mut fragment[14..]);
    packet.fill_checksum();
    let refused = host.net.interfaces()[0].traffic.refused;
    host.port.deliver(fragment);
    world.run_for(Duration::from_millis(5));
    assert_eq!(host.net.interfaces()[0].traffic.refused, refused + 1);
    assert_eq!(host.net.connections().count, 0);
    serves(&world);
}

#[test]
fn n04_a_segment_with_a_wrong_sum_takes_no_place() {
    let world = World::new();
    let host = victim(&world);
    for port in 1000..2000 {
        let mut frame = syn(host.mac(), (v4(9), port), (v4(1), 7));
        frame[50] ^= 0xff;
        host.port.deliver(frame);
    }
    world.run_for(SECOND);
    let connections = host.net.connections();
    assert_eq!((connections.count, connections.memory), (0, 0));
    serves(&world);
}

/// Frames that a stack makes something of.
fn seeds(host: &Host) -> Vec<Vec<u8>> {
    let mac = host.mac();
    let arp = {
        let mut frame = ethernet(mac, EthernetProtocol::Arp, 28);
        frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
        frame[22..28].copy_from_slice(&STRANGER.0);
        frame[28..32].copy_from_slice(&[10, 0, 0, 66]);
        frame[38..42].copy_from_slice(&[10, 0, 0, 1]);
        frame
    };
    let prefix = Ipv6Address::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);
    let mut dhcp = vec![0; 300];
    dhcp[..4].copy_from_slice(&[2, 1, 6, 0]);
    dhcp[28..34].copy_from_slice(&mac);
    dhcp[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    dhcp[240..252].copy_from_slice(&[53, 1, 5, 54, 4, 10, 0, 0, 66, 51, 4, 0]);
    let mut options = ethernet(mac, EthernetProtocol::Ipv6, 40 + 24);
    options[14] = 0x60;
    options[18..22].copy_from_slice(&[0, 24, 0, 1]);
    options[22] = 0xfe;
    options[23] = 0x80;
    options[37] = 9;
    options[38] = 0xff;
    options[39] = 2;
    options[53] = 1;
    options[54..62].copy_from_slice(&[58, 0, 5, 2, 0, 0, 1, 0]);
    options[62] = 130;
    vec![
        arp,
        syn(mac, (v4(66), 4000), (v4(1), 7)),
        udp(mac, (v4(66), 4000), (v4(1), 53), b"question"),
        udp(mac, (v4(66), 67), (v4(1), 68), &dhcp),
        udp([0xff; 6], (v4(66), 67), (Ipv4Address::BROADCAST, 68), &dhcp),
        udp(mac, (v4(66), 53), (v4(1), 50_000), &[0; 60]),
        ipv4(
            mac,
            (v4(66), v4(1)),
            IpProtocol::Icmp,
            &[8, 0, 0xf7, 0xff, 0, 0, 0, 0],
        ),
        ipv4(
            mac,
            (v4(66), v4(1)),
            IpProtocol::Icmp,
            &[3, 3, 0xfc, 0xfc, 0, 0, 0, 0],
        ),
        ipv4(
            mac,
            (v4(66), v4(1)),
            IpProtocol::Igmp,
            &[0x11, 10, 0xee, 0xf5, 0, 0, 0, 0],
        ),
        ipv4(mac, (v4(66), v4(1)), IpProtocol::from(99), &[1; 60]),
        advertisement(mac, prefix, 64),
        options,
    ]
}

/// Puts right what a change made wrong, so that more of it is looked at.
pub(super) fn mend(frame: &mut [u8]) {
    if frame.len() < 34 || frame[12..14] != [8, 0] {
        return;
    }
    if let Ok(mut packet) = Ipv4Packet::new_checked(&mut frame[14..]) {
        packet.fill_checksum();
        let (source, destination) = (packet.src_addr().into(), packet.dst_addr().into());
        match packet.next_header() {
            IpProtocol::Tcp => {
                if let Ok(mut tcp) = TcpPacket::new_checked(packet.payload_mut()) {
                    tcp.fill_checksum(&source, &destination);
                }
            }
            IpProtocol::Udp => {
                if let Ok(mut udp) = UdpPacket::new_checked(packet.payload_mut()) {
                    udp.fill_checksum(&source, &destination);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn n05_no_frame_ends_the_domain_or_takes_its_memory() {
    let world = World::new();
    let host = victim(&world);
    let chance = Cell::new(7);
    let seeds = seeds(&host);
    let below = |bound: usize| (scramble(&chance) % bound.max(1) as u64) as usize;
    for round in 0..30_000 {
        let mut frame = seeds[below(seeds.len())].clone();
        for _ in 0..below(4) {
            let place = below(frame.len());
            frame[place] = match below(4) {
                0 => 0,
                1 => 0xff,
                2 => frame[place] ^ 1 << below(8),
                _ => scramble(&chance) as u8,
            };
        }
        match below(12) {
            0 => frame.truncate(below(frame.len())),
            1 => frame.resize(frame.len() + below(1500), 0x5a),
            2 => frame = (0..below(200)).map(|_| scramble(&chance) as u8).collect(),
            _ => {}
        }
        if below(2) == 0 {
            mend(&mut frame);
        }
        host.port.deliver(frame);
        if round % 64 == 0 {
            world.run_for(Duration::from_millis(50));
        }
    }
    world.run_for(MINUTE * 5);
    assert_eq!(host.net.connections().count, 0);
    // What routers and neighbours said is over after a time.
    world.run_for(MINUTE * 5);
    serves(&world);
}
