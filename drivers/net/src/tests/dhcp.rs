//! Where addresses come from.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetFrame, IpProtocol, Ipv4Address, Ipv4Packet,
    UdpPacket,
};

use super::frames::udp;
use super::world::{Host, Port, World};

const SECOND: Duration = Duration::from_secs(1);
const SERVER: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);

/// What a server offers.
#[derive(Clone, Copy)]
struct Offer {
    address: Ipv4Address,
    mask: Ipv4Address,
    router: Option<Ipv4Address>,
    dns: Ipv4Address,
    seconds: u32,
    /// Whose address its packets have.
    server: Ipv4Address,
}

const GOOD: Offer = Offer {
    address: Ipv4Address::new(10, 0, 0, 5),
    mask: Ipv4Address::new(255, 255, 255, 0),
    router: Some(Ipv4Address::new(10, 0, 0, 254)),
    dns: Ipv4Address::new(10, 0, 0, 53),
    seconds: 600,
    server: SERVER,
};

/// A server that gives everybody the same, or nothing.
struct Server {
    offer: Rc<RefCell<Option<Offer>>>,
    asked: Rc<Cell<u32>>,
}

fn serve(world: &World) -> Server {
    let server = Server {
        offer: Rc::new(RefCell::new(Some(GOOD))),
        asked: Rc::default(),
    };
    let (offer, asked) = (server.offer.clone(), server.asked.clone());
    let (hub, port, exec) = (world.hub.clone(), world.hub.plug_in(), world.exec.clone());
    world.exec.spawn("dhcpd", async move {
        loop {
            port.arrived().await;
            while let Some(question) = next(&port) {
                asked.set(asked.get() + 1);
                if let Some(answer) = offer.borrow().and_then(|offer| answer(&question, &offer)) {
                    hub.send(&port, &answer);
                }
            }
            exec.yield_now().await;
        }
    });
    server
}

/// The next DHCP packet of a client.
fn next(port: &Rc<Port>) -> Option<Vec<u8>> {
    loop {
        let frame = port.inbox.borrow_mut().pop_front()?;
        let ethernet = EthernetFrame::new_checked(&frame[..]).ok()?;
        let Ok(packet) = Ipv4Packet::new_checked(ethernet.payload()) else {
            continue;
        };
        if packet.next_header() == IpProtocol::Udp
            && UdpPacket::new_checked(packet.payload()).is_ok_and(|udp| udp.dst_port() == 67)
        {
            return Some(
                UdpPacket::new_unchecked(packet.payload())
                    .payload()
                    .to_vec(),
            );
        }
    }
}

fn answer(question: &[u8], offer: &Offer) -> Option<Vec<u8>> {
    let question = DhcpPacket::new_checked(question).ok()?;
    let question = DhcpRepr::parse(&question).ok()?;
    let kind = match question.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request => DhcpMessageType::Ack,
        _ => return None,
    };
    let mut answer = DhcpRepr {
        message_type: kind,
        your_ip: offer.address,
        server_ip: offer.server,
        router: offer.router,
        subnet_mask: Some(offer.mask),
        server_identifier: Some(SERVER),
        lease_duration: Some(offer.seconds),
        requested_ip: None,
        client_identifier: None,
        parameter_request_list: None,
        max_size: None,
        ..question
    };
    let mut dns = smoltcp::wire::DhcpRepr::clone(&answer)
        .dns_servers
        .unwrap_or_default();
    dns.push(offer.dns).ok()?;
    answer.dns_servers = Some(dns);
    let mut bytes = vec![0; answer.buffer_len()];
    answer
        .emit(&mut DhcpPacket::new_unchecked(&mut bytes))
        .ok()?;
    let to = (Ipv4Address::BROADCAST, 68);
    Some(udp([0xff; 6], (offer.server, 67), to, &bytes))
}

fn addresses(host: &Host) -> Vec<String> {
    let status = &host.net.interfaces()[0];
    let all = status.addresses.iter().map(ToString::to_string);
    all.filter(|address| !address.starts_with("fe80")).collect()
}

#[test]
fn a_lease_is_taken_renewed_and_lost() {
    let world = World::new();
    let server = serve(&world);
    let host = world.host(2, &[], 64);
    world.run_for(SECOND * 2);
    assert_eq!(addresses(&host), ["10.0.0.5/24"]);
    let status = host.net.interfaces().remove(0);
    assert_eq!(status.gateways.len(), 1);
    assert_eq!(status.dns.len(), 1);
    let line = "10.0.0.5/24 by DHCP from 10.0.0.1, gateway 10.0.0.254, DNS 10.0.0.53";
    assert_eq!(host.lines(), [line]);
    // Nobody answers 10.0.0.1's address; the last renewals are to all.
    let asked = server.asked.get();
    world.run_for(SECOND * 3000);
    assert!(server.asked.get() > asked, "it is renewed");
    assert_eq!(addresses(&host), ["10.0.0.5/24"]);
    server.offer.replace(None);
    world.run_for(SECOND * 700);
    assert_eq!(addresses(&host), Vec::<String>::new());
    assert_eq!(host.net.interfaces()[0].gateways, []);
    assert_eq!(
        host.lines().last().unwrap(),
        "the lease from DHCP has ended"
    );
    server.offer.replace(Some(GOOD));
    world.run_for(SECOND * 60);
    assert_eq!(addresses(&host), ["10.0.0.5/24"]);
}

#[test]
fn n12_a_lease_that_no_host_can_live_with_is_left_alone() {
    let loopback = Ipv4Address::LOCALHOST;
    let network = Ipv4Address::new(10, 0, 0, 0);
    let bad = |change: fn(&mut Offer)| {
        let mut offer = GOOD;
        change(&mut offer);
        offer
    };
    for offer in [
        bad(|offer| offer.address = Ipv4Address::UNSPECIFIED),
        bad(|offer| offer.address = Ipv4Address::LOCALHOST),
        bad(|offer| offer.address = Ipv4Address::new(224, 0, 0, 1)),
        bad(|offer| offer.address = Ipv4Address::new(10, 0, 0, 0)),
        bad(|offer| offer.address = Ipv4Address::new(10, 0, 0, 255)),
        bad(|offer| offer.address = Ipv4Address::BROADCAST),
        bad(|offer| offer.mask = Ipv4Address::new(255, 0, 255, 0)),
        bad(|offer| offer.server = Ipv4Address::UNSPECIFIED),
        bad(|offer| offer.server = Ipv4Address::LOCALHOST),
        bad(|offer| offer.server = Ipv4Address::new(224, 0, 0, 1)),
    ] {
        let world = World::new();
        let server = serve(&world);
        server.offer.replace(Some(offer));
        let host = world.host(2, &[], 64);
        world.run_for(SECOND * 1000);
        assert_eq!(addresses(&host), Vec::<String>::new());
    }
    for (router, dns) in [
        (Some(Ipv4Address::UNSPECIFIED), Ipv4Address::UNSPECIFIED),
        (Some(loopback), loopback),
        (Some(GOOD.address), Ipv4Address::BROADCAST),
        (Some(Ipv4Address::new(192, 168, 0, 1)), network),
    ] {
        let world = World::new();
        let server = serve(&world);
        server.offer.replace(Some(Offer {
            router,
            dns,
            ..GOOD
        }));
        let host = world.host(2, &[], 64);
        world.run_for(SECOND * 10);
        assert_eq!(
            addresses(&host),
            ["10.0.0.5/24"],
            "the rest can be lived with"
        );
        assert_eq!(host.net.interfaces()[0].gateways, []);
    }
}

#[test]
fn n13_leases_of_no_time_neither_fill_the_log_nor_take_the_domains_time() {
    for seconds in [0, 1, 2, u32::MAX] {
        let world = World::new();
        let server = serve(&world);
        server.offer.replace(Some(Offer { seconds, ..GOOD }));
        let host = world.host(2, &[], 64);
        let turns = world.run_for(SECOND * 100);
        assert!(turns < 200_000, "{turns} turns for leases of {seconds} s");
        assert!(host.lines().len() < 120, "{:?}", host.lines().len());
    }
}

#[test]
fn a_network_without_routers_and_servers_rests() {
    for settings in [&[][..], &["10.0.0.1/24"], &["off"]] {
        let world = World::new();
        let host = world.host(1, settings, 64);
        world.run_for(SECOND * 120);
        let turns = world.run_for(SECOND * 600);
        assert!(turns < 200, "{turns} turns in ten minutes");
        host.port.set_carrier(false);
        let turns = world.run_for(SECOND * 600);
        assert!(turns < 200, "{turns} turns in ten minutes");
    }
}

#[test]
fn an_interface_that_is_off_says_and_hears_nothing() {
    let world = World::new();
    let other = world.host(2, &["10.0.0.2/24"], 64);
    let off = world.host(1, &["xn0:off", "dhcp"], 64);
    world.run_for(SECOND * 60);
    let status = off.net.interfaces().remove(0);
    assert_eq!((status.source, status.addresses.len()), ("off", 0));
    assert_eq!(status.traffic.sent, 0);
    assert!(status.traffic.received > 0);
    let error = off.net.ping("10.0.0.2".parse().unwrap()).unwrap_err();
    assert_eq!(error, crate::NetError::Unreachable);
    drop(other);
}

#[test]
fn the_backends_word_counts_where_the_command_line_has_none() {
    let world = World::new();
    let server = serve(&world);
    let host = world.host(2, &[], 64);
    host.net.detach("xn0");
    world.connect(&host, Some("10.0.0.7 nonsense"));
    let told = world.host(3, &["xn0:10.0.0.3/16"], 64);
    told.net.detach("xn0");
    world.connect(&told, Some("10.0.0.7"));
    world.run_for(SECOND * 10);
    assert_eq!(addresses(&host), ["10.0.0.7/24"]);
    assert_eq!(host.net.interfaces()[0].source, "vif");
    assert_eq!(addresses(&told), ["10.0.0.3/16"]);
    assert_eq!(server.asked.get(), 0);
}
