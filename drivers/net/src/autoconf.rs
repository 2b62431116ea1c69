//! IPv6 addresses made from what routers advertise (RFC 4861, 4862, 8106).
//!
//! Not smoltcp's own: of 0.14 a router can cause a panic, it makes the stack forget all its times
//! once no router is looked for any more, and it uses no router of IPv6's beside one of IPv4's.

use alloc::vec::Vec;
use core::time::Duration;

use hv::Instant;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, HardwareAddress, Icmpv6Packet,
    Icmpv6Repr, IpAddress, IpProtocol, Ipv6Address, Ipv6Cidr, Ipv6Packet, Ipv6Repr, NdiscRepr,
};

use crate::advert::{Advert, PREFIX_BITS, Prefix};

/// How often a router is asked for, and how long each answer is waited for.
const TIMES: u8 = 3;
const EACH: Duration = Duration::from_secs(4);
/// Networks and name servers that are kept.
const NETWORKS: usize = 3;
const SERVERS: usize = 2;
/// Nobody who only claims to be a router can make an address end sooner (RFC 4862, 5.5.3).
const SAFE: Duration = Duration::from_secs(7200);

const LINK_LOCAL: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
const ALL_ROUTERS: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_ROUTERS_ETHERNET: EthernetAddress = EthernetAddress([0x33, 0x33, 0, 0, 0, 2]);

/// What routers advertised to an interface.
#[derive(Debug)]
pub(crate) struct Autoconf {
    mac: [u8; 6],
    /// When a router is asked for next, and how often it will be.
    ask: Option<(Instant, u8)>,
    networks: Vec<(Prefix, Instant)>,
    router: Option<(Ipv6Address, Instant)>,
    servers: Vec<(Ipv6Address, Instant)>,
}

impl Autoconf {
    /// Nothing is known; a router is to be asked for from `now` on.
    pub(crate) fn new(mac: [u8; 6], now: Instant) -> Self {
        Self {
            mac,
            ask: Some((now, TIMES)),
            networks: Vec::new(),
            router: None,
            servers: Vec::new(),
        }
    }

    /// The link may be another one: a router is asked for again. What is known stays for its time.
    pub(crate) fn begin_anew(&mut self, mac: [u8; 6], now: Instant) {
        self.mac = mac;
        self.ask = Some((now, TIMES));
    }

    /// The link-local address.
    pub(crate) fn link_local(&self) -> Ipv6Cidr {
        self.address(LINK_LOCAL, true)
    }

    /// The other addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Ipv6Cidr> {
        let networks = self.networks.iter();
        networks.map(|(prefix, _)| self.address(prefix.address, prefix.on_link))
    }

    /// Where the way out is.
    pub(crate) fn router(&self) -> Option<Ipv6Address> {
        Some(self.router?.0)
    }

    /// Name servers.
    pub(crate) fn dns(&self) -> impl Iterator<Item = IpAddress> {
        self.servers.iter().map(|(server, _)| (*server).into())
    }

    fn address(&self, prefix: Ipv6Address, on_link: bool) -> Ipv6Cidr {
        let hardware = HardwareAddress::Ethernet(EthernetAddress(self.mac));
        let network = Ipv6Cidr::new(prefix, PREFIX_BITS);
        let address = Ipv6Cidr::from_link_prefix(&network, hardware).unwrap_or(network);
        match on_link {
            true => address,
            // Its neighbours are reached by the router only.
            false => Ipv6Cidr::new(address.address(), 128),
        }
    }

    /// A router speaks. Returns whether anything changes by it.
    pub(crate) fn hear(&mut self, advert: &Advert, now: Instant) -> bool {
        self.ask = None;
        let before = self.summary();
        let until = now.after(advert.lifetime);
        match self.router {
            // Two routers do not take turns.
            Some((router, end)) if router != advert.router && end > now => {}
            _ if advert.lifetime.is_zero() => self.router = None,
            _ => self.router = Some((advert.router, until)),
        }
        for prefix in &advert.prefixes {
            self.hear_prefix(prefix, now);
        }
        for (server, lifetime) in &advert.dns {
            self.servers.retain(|(known, _)| known != server);
            if !lifetime.is_zero() && self.servers.len() < SERVERS {
                self.servers.push((*server, now.after(*lifetime)));
            }
        }
        self.summary() != before
    }

    fn hear_prefix(&mut self, prefix: &Prefix, now: Instant) {
        let full = self.networks.len() >= NETWORKS;
        let mut networks = self.networks.iter_mut();
        let known = networks.find(|(known, _)| known.address == prefix.address);
        match known {
            Some((_, until)) => {
                let left = until.since(now);
                if prefix.lifetime > SAFE || prefix.lifetime > left {
                    *until = now.after(prefix.lifetime);
                } else if left > SAFE {
                    *until = now.after(SAFE);
                }
            }
            None if full || prefix.lifetime.is_zero() => {}
            None => self.networks.push((*prefix, now.after(prefix.lifetime))),
        }
    }

    /// Forgets what has ended. Returns whether anything has.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        if self.next_end().is_none_or(|next| next > now) {
            return false;
        }
        let before = self.summary();
        self.networks.retain(|(_, until)| *until > now);
        self.servers.retain(|(_, until)| *until > now);
        self.router = self.router.filter(|(_, until)| *until > now);
        self.summary() != before
    }

    fn summary(&self) -> (Vec<Ipv6Cidr>, Option<Ipv6Address>, Vec<IpAddress>) {
        (
            self.addresses().collect(),
            self.router(),
            self.dns().collect(),
        )
    }

    /// When something ends next.
    fn next_end(&self) -> Option<Instant> {
        let networks = self.networks.iter().map(|(_, until)| *until);
        let servers = self.servers.iter().map(|(_, until)| *until);
        let router = self.router.iter().map(|(_, until)| *until);
        networks.chain(servers).chain(router).min()
    }

    /// When there is something to do next; without a carrier nobody is asked.
    pub(crate) fn next(&self, carrier: bool) -> Option<Instant> {
        let ask = self.ask.filter(|_| carrier).map(|(at, _)| at);
        self.next_end().into_iter().chain(ask).min()
    }

    /// The frame that asks for a router, if it is time for it. It counts as sent.
    pub(crate) fn question(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (at, left) = self.ask?;
        if at > now {
            return None;
        }
        self.ask = (left > 1).then(|| (now.after(EACH), left - 1));
        Some(self.solicitation())
    }

    fn solicitation(&self) -> Vec<u8> {
        let mac = EthernetAddress(self.mac);
        let source = self.link_local().address();
        let question = Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit {
            lladdr: Some(mac.into()),
        });
        let ip = Ipv6Repr {
            src_addr: source,
            dst_addr: ALL_ROUTERS,
            next_header: IpProtocol::Icmpv6,
            payload_len: question.buffer_len(),
            hop_limit: 255,
        };
        let ethernet = EthernetRepr {
            src_addr: mac,
            dst_addr: ALL_ROUTERS_ETHERNET,
            ethertype: EthernetProtocol::Ipv6,
        };
        let length = ethernet.buffer_len() + ip.buffer_len() + question.buffer_len();
        let mut bytes = alloc::vec![0; length];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes);
        ethernet.emit(&mut frame);
        let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
        ip.emit(&mut packet);
        question.emit(
            &source,
            &ALL_ROUTERS,
            &mut Icmpv6Packet::new_unchecked(packet.payload_mut()),
            &ChecksumCapabilities::default(),
        );
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn advert(router: u16, lifetime: Duration, prefixes: &[(u16, Duration)]) -> Advert {
        let prefixes = prefixes.iter().map(|(network, lifetime)| Prefix {
            address: Ipv6Address::new(0xfd00, 0, 0, *network, 0, 0, 0, 0),
            on_link: true,
            lifetime: *lifetime,
        });
        Advert {
            router: Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, router),
            lifetime,
            prefixes: prefixes.collect(),
            dns: Vec::new(),
        }
    }

    fn auto() -> Autoconf {
        Autoconf::new([2, 0, 0, 0, 0, 1], Instant(0))
    }

    #[test]
    fn a_router_is_asked_for_three_times_and_then_no_more() {
        let mut auto = auto();
        let mut asked = Vec::new();
        while let Some(at) = auto.next(true) {
            assert!(at.0 == 0 || auto.question(Instant(at.0 - 1)).is_none());
            assert_eq!(auto.question(at).unwrap().len(), 70);
            asked.push(at.0 / 1_000_000_000);
        }
        assert_eq!(asked, [0, 4, 8]);
    }

    #[test]
    fn n10_a_flood_of_networks_and_routers_takes_few_places() {
        let mut auto = auto();
        for number in 0..1000 {
            auto.hear(&advert(number, HOUR, &[(number, HOUR)]), Instant(0));
        }
        assert_eq!(auto.addresses().count(), NETWORKS);
        assert_eq!(auto.router(), Some(advert(0, HOUR, &[]).router));
    }

    #[test]
    fn n11_nobody_can_make_an_address_end_at_once() {
        let mut auto = auto();
        let day = Duration::from_secs(86_400);
        auto.hear(&advert(1, HOUR, &[(1, day)]), Instant(0));
        auto.hear(
            &advert(1, Duration::ZERO, &[(1, Duration::ZERO)]),
            Instant(0),
        );
        assert_eq!(auto.router(), None, "a router may go");
        let mut at = Instant(0).after(SAFE - Duration::from_secs(1));
        assert!(!auto.expire(at));
        auto.hear(&advert(1, HOUR, &[(1, Duration::ZERO)]), at);
        at = Instant(0).after(SAFE);
        assert!(auto.expire(at));
        assert_eq!(auto.addresses().count(), 0);
    }

    #[test]
    fn what_was_advertised_ends_in_its_time_and_is_prolonged() {
        let mut auto = auto();
        assert!(auto.hear(&advert(1, HOUR, &[(1, HOUR)]), Instant(0)));
        let half = Instant(0).after(HOUR / 2);
        assert!(!auto.hear(&advert(1, HOUR, &[(1, HOUR)]), half));
        assert!(!auto.expire(Instant(0).after(HOUR)));
        assert!(auto.expire(half.after(HOUR)));
        assert_eq!((auto.router(), auto.next_end()), (None, None));
    }
}
