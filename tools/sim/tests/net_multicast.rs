//! IPv6 where the backend sends only those multicast packets that it was asked for: neighbours and
//! routers are found by such packets.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use net::{IpAddress, IpCidr};
use sim::lan::Lan;
use sim::{NetbackConfig, SwitchConfig};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Duration as Lifetime;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv6Packet, Icmpv6Repr,
    IpProtocol, Ipv6Address, Ipv6Packet, Ipv6Repr, NdiscPrefixInfoFlags, NdiscPrefixInformation,
    NdiscRepr, NdiscRouterFlags,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Lifetime = Lifetime::from_secs(3600);
const ROUTER_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 0x99]);
const ROUTER: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
const ALL_HOSTS: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// The network that the router advertises.
const NETWORK: Ipv6Address = Ipv6Address::new(0x2001, 0xdb8, 0, 9, 0, 0, 0, 0);

/// A frame to all hosts: the router has this network, for an hour.
fn advertisement() -> Vec<u8> {
    let repr = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: HOUR,
        reachable_time: Lifetime::ZERO,
        retrans_time: Lifetime::ZERO,
        lladdr: Some(ROUTER_MAC.into()),
        mtu: None,
        prefix_info: Some(NdiscPrefixInformation {
            prefix_len: 64,
            flags: NdiscPrefixInfoFlags::ADDRCONF | NdiscPrefixInfoFlags::ON_LINK,
            valid_lifetime: HOUR,
            preferred_lifetime: HOUR,
            prefix: NETWORK,
        }),
    });
    let ip = Ipv6Repr {
        src_addr: ROUTER,
        dst_addr: ALL_HOSTS,
        next_header: IpProtocol::Icmpv6,
        payload_len: repr.buffer_len(),
        hop_limit: 255,
    };
    let ethernet = EthernetRepr {
        src_addr: ROUTER_MAC,
        dst_addr: EthernetAddress([0x33, 0x33, 0, 0, 0, 1]),
        ethertype: EthernetProtocol::Ipv6,
    };
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + repr.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    ethernet.emit(&mut frame);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet);
    let mut packet = Icmpv6Packet::new_unchecked(packet.payload_mut());
    repr.emit(
        &ROUTER,
        &ALL_HOSTS,
        &mut packet,
        &ChecksumCapabilities::default(),
    );
    bytes
}

/// Two guests: one is given an address, the other only makes its own.
fn lan(seed: u64) -> Lan {
    let addresses = ["xn0:2001:db8:0:9::a:b:c/64", "xn0:dhcp"].map(String::from);
    let line = SwitchConfig::default();
    Lan::with_addresses(seed, addresses, line, &NetbackConfig::default())
}

/// A guest's address that begins like this.
fn address(lan: &Lan, guest: usize, prefix: u16) -> Option<IpAddress> {
    let all = lan.net(guest).interfaces().remove(0).addresses;
    let mut all = all.iter().map(IpCidr::address);
    all.find(|address| matches!(address, IpAddress::Ipv6(six) if six.segments()[0] == prefix))
}

/// Whether `to` answers a guest.
fn answers(lan: &Lan, guest: usize, to: IpAddress) -> bool {
    let (net, answered) = (lan.net(guest), Rc::new(Cell::new(None)));
    let result = answered.clone();
    lan.spawn(guest, async move {
        let reply = match net.ping(to) {
            Ok(mut ping) => ping.echo(56, SECOND * 5).await,
            Err(why) => Err(why),
        };
        result.set(Some(reply.is_ok()));
    });
    lan.until("it has an end", |_| answered.get().is_some());
    answered.get() == Some(true)
}

/// What a guest asked its backend for.
fn groups(lan: &Lan, guest: usize) -> Vec<[u8; 6]> {
    let mut groups = lan.backends[guest].multicast();
    groups.sort_unstable();
    groups
}

/// The groups that each guest is in before anybody has said anything.
fn expected(own: [u8; 6], given: Option<[u8; 6]>) -> Vec<[u8; 6]> {
    let [.., a, b, c] = own;
    let always = [[1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]];
    let mut groups: Vec<_> = always.into_iter().chain(given).collect();
    groups.push([0x33, 0x33, 0xff, a, b, c]);
    groups.sort_unstable();
    groups
}

#[test]
fn neighbours_and_routers_are_found_and_nothing_else_comes() {
    let lan = lan(1);
    lan.run_for(SECOND);
    let given = [0x33, 0x33, 0xff, 0xb, 0, 0xc];
    let mac = |guest| lan.net(guest).interfaces()[0].mac;
    assert_eq!(groups(&lan, 0), expected(mac(0), Some(given)));
    assert_eq!(groups(&lan, 1), expected(mac(1), None));
    for guest in 0..2 {
        let other = address(&lan, 1 - guest, 0xfe80).expect("a link-local address");
        assert!(answers(&lan, guest, other), "{guest} does not find {other}");
    }
    assert_eq!(address(&lan, 1, 0x2001), None);
    lan.switch.host().send(advertisement());
    lan.run_for(SECOND);
    let own = address(&lan, 1, 0x2001).expect("an address made from the router's network");
    let fixed = address(&lan, 0, 0x2001).expect("the address that it was given");
    // In this order: who is asked by an address knows it then.
    assert!(answers(&lan, 1, fixed), "{fixed} is not found");
    assert!(answers(&lan, 0, own), "{own} is not found");
    let before: Vec<_> = lan.backends.iter().map(|back| back.served()).collect();
    let mut foreign = advertisement();
    foreign[5] = 0xfb;
    lan.switch.host().send(foreign);
    lan.run_for(SECOND);
    for (back, before) in lan.backends.iter().zip(before) {
        assert_eq!(back.served().unwanted, before.unwanted + 1);
        assert_eq!(back.complaints(), Vec::<String>::new());
    }
}
