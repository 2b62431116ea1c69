//! Neighbours, and what they say of themselves.

use std::time::Duration;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress,
    IpProtocol, Ipv4Address, Ipv6Address, Ipv6Packet, Ipv6Repr, NdiscNeighborFlags, NdiscRepr,
};

use super::frames::{STRANGER, ethernet, ipv4};
use super::peer::arp;
use super::world::{Port, World};

const SECOND: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(1);
const SIX: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66);

fn echo(to: [u8; 6], from: Ipv4Address) -> Vec<u8> {
    let repr = Icmpv4Repr::EchoRequest {
        ident: 1,
        seq_no: 1,
        data: b"first",
    };
    let mut message = vec![0; repr.buffer_len()];
    let sums = ChecksumCapabilities::default();
    repr.emit(&mut Icmpv4Packet::new_unchecked(&mut message), &sums);
    let own = Ipv4Address::new(10, 0, 0, 1);
    ipv4(to, (from, own), IpProtocol::Icmp, &message)
}

fn icmpv6(to: [u8; 6], own: Ipv6Address, repr: &Icmpv6Repr<'_>) -> Vec<u8> {
    let ip = Ipv6Repr {
        src_addr: SIX,
        dst_addr: own,
        next_header: IpProtocol::Icmpv6,
        payload_len: repr.buffer_len(),
        hop_limit: 255,
    };
    let length = ip.buffer_len() + repr.buffer_len();
    let mut bytes = ethernet(to, EthernetProtocol::Ipv6, length);
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet);
    let mut packet = Icmpv6Packet::new_unchecked(packet.payload_mut());
    repr.emit(&SIX, &own, &mut packet, &ChecksumCapabilities::default());
    bytes
}

/// Frames to the stranger since the last time, and to groups.
fn heard(tap: &Port) -> (usize, usize) {
    let frames: Vec<_> = tap.inbox.borrow_mut().drain(..).collect();
    let to_us = |frame: &&Vec<u8>| frame[..6] == STRANGER.0;
    let ours = frames.iter().filter(to_us).count();
    (ours, frames.len() - ours)
}

#[test]
fn a_neighbour_that_knows_us_first_gets_an_answer_to_its_first_ping() {
    let world = World::new();
    let host = world.host(1, &["10.0.0.1/24"], 64);
    let tap = world.hub.plug_in();
    // What it says to routers in the beginning is over.
    world.run_for(SECOND * 60);
    let stranger = Ipv4Address::new(10, 0, 0, 66);
    heard(&tap);
    host.port.deliver(echo(host.mac(), stranger));
    world.run_for(TURN);
    assert_eq!(heard(&tap), (0, 1), "it asks who that is");
    // Another neighbour speaks meanwhile.
    host.port
        .deliver(arp(host.mac(), Ipv4Address::new(10, 0, 0, 67)));
    world.run_for(TURN);
    assert_eq!(heard(&tap), (1, 0), "the other one is answered");
    host.port.deliver(arp(host.mac(), stranger));
    world.run_for(TURN);
    assert_eq!(heard(&tap), (2, 0), "that is one answer more");
    world.run_for(SECOND * 10);
    assert_eq!(heard(&tap), (0, 0), "and no other comes");
}

#[test]
fn the_same_is_so_with_ipv6() {
    let world = World::new();
    let host = world.host(1, &["10.0.0.1/24"], 64);
    let tap = world.hub.plug_in();
    world.run_for(SECOND * 60);
    let IpAddress::Ipv6(own) = host.net.interfaces()[0].addresses[0].address() else {
        panic!("it has a link-local address");
    };
    heard(&tap);
    let echo = Icmpv6Repr::EchoRequest {
        ident: 1,
        seq_no: 1,
        data: b"first",
    };
    // The second comes while it is still asking.
    for asked in [1, 0] {
        host.port.deliver(icmpv6(host.mac(), own, &echo));
        world.run_for(TURN);
        assert_eq!(heard(&tap), (0, asked));
    }
    let advert = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
        flags: NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE,
        target_addr: SIX,
        lladdr: Some(STRANGER.into()),
    });
    host.port.deliver(icmpv6(host.mac(), own, &advert));
    world.run_for(TURN);
    assert_eq!(heard(&tap), (2, 0));
}

#[test]
fn n20_who_pings_and_does_not_say_where_it_is_costs_a_few_packets() {
    let world = World::new();
    let host = world.host(1, &["10.0.0.1/24"], 64);
    let tap = world.hub.plug_in();
    world.run_for(SECOND * 60);
    heard(&tap);
    for last in 2..200 {
        host.port
            .deliver(echo(host.mac(), Ipv4Address::new(10, 0, 0, last)));
    }
    let turns = world.run_for(SECOND * 10);
    let (answers, questions) = heard(&tap);
    assert_eq!(answers, 0);
    assert!((2..10).contains(&questions), "{questions}");
    assert!(turns < 100, "{turns}");
}

#[test]
fn groups_are_asked_for_until_there_is_room_to_ask_and_again_of_another_wire() {
    let world = World::new();
    let host = world.host(1, &["2001:db8::a:b:c/64"], 64);
    let mut all = vec![[1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]];
    // By which neighbours ask for fe80::ff:fe00:1 and 2001:db8::a:b:c.
    let asked = [[0x33, 0x33, 0xff, 0, 0, 1], [0x33, 0x33, 0xff, 0xb, 0, 0xc]];
    all.extend(asked);
    let groups = || {
        let mut groups = host.port.groups.take();
        groups.sort_unstable();
        groups
    };
    host.port.deaf.set(true);
    world.run_for(SECOND);
    assert_eq!(groups(), [[0; 6]; 0]);
    host.port.deaf.set(false);
    world.run_for(SECOND);
    assert_eq!(groups(), all);
    world.run_for(SECOND);
    assert_eq!(groups(), [[0; 6]; 0], "it was asked before");
    world.connect(&host, None);
    world.run_for(SECOND);
    assert_eq!(groups(), all);
}
