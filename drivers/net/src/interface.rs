//! One network interface: its part of the stack, without the wire.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;

use exec::{Level, Notify, info};
use hv::Instant;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::socket::{dhcpv4, dns, udp};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::addressing::{Addressing, Lease};
use crate::advert::Advert;
use crate::clock::{from_smoltcp, to_smoltcp};
use crate::conn::{ConnId, Conns};
use crate::devices::{Ledger, Nothing};
use crate::parked::Parked;
use crate::stack::Common;
use crate::status::{InterfaceStatus, Traffic};
use crate::udp::make as make_udp;

/// How often a DHCP server is looked for: in the beginning, and after a while without one.
const DISCOVER: Duration = Duration::from_secs(3);
const DISCOVER_LATER: Duration = Duration::from_secs(30);
/// How long the beginning is.
const BEGINNING: Duration = Duration::from_secs(60);

/// A UDP socket that has something to send.
#[derive(Clone, Copy, Debug)]
struct Stuck {
    handle: SocketHandle,
    /// So many bytes.
    queued: usize,
    /// Since then no other number.
    since: Instant,
}

/// How long a datagram may take to go out: its neighbour may have to be looked for.
const LEAVING: Duration = Duration::from_secs(5);
/// How long a packet may take to come whole. There is room for four that have not (smoltcp's), so
/// on a line that loses frames, or beside a peer that never ends one, the 60 s of RFC 8200 would
/// keep all others out.
const REASSEMBLY: Duration = Duration::from_secs(5);

/// The groups of all hosts, of IPv4's and of IPv6's.
const ALL_HOSTS: [[u8; 6]; 2] = [[1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]];

/// One network interface. It outlives the connections to its backend.
pub(crate) struct Iface {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) mac: [u8; 6],
    /// It has a wire, with a carrier.
    pub(crate) up: bool,
    pub(crate) smol: Box<Interface>,
    /// Every socket but TCP's.
    pub(crate) others: SocketSet<'static>,
    /// The others have something to do.
    pub(crate) others_active: bool,
    pub(crate) others_due: Option<Instant>,
    pub(crate) conns: Conns,
    /// Connections that peers asked for in this turn.
    pub(crate) admitted: usize,
    pub(crate) addressing: Addressing,
    pub(crate) parked: Parked,
    pub(crate) ledger: Ledger,
    /// Since when the wire has had no room.
    pub(crate) full_since: Option<Instant>,
    /// For the task that moves packets: there is something to do.
    pub(crate) work: Rc<Notify>,
    pub(crate) dns: SocketHandle,
    /// Questions to name servers that are under way.
    pub(crate) questions: usize,
    /// Which UDP socket has which here.
    pub(crate) udp: Vec<(u64, SocketHandle)>,
    /// Those that nobody has any more, until they have sent what they have, or so long.
    leaving: Vec<(SocketHandle, Instant)>,
    /// UDP sockets that have something to send.
    stuck: Vec<Stuck>,
    dhcp: Option<SocketHandle>,
    /// The wire is to be told in which groups the interface is.
    pub(crate) groups_due: bool,
    /// When DHCP is asked for less often.
    patience: Option<Instant>,
    /// When a DHCP server is asked anew whose lease was none to live with.
    ask_again: Option<Instant>,
    mtu: usize,
}

/// What an interface is made of.
pub(crate) struct Parts<'a> {
    pub(crate) id: u32,
    pub(crate) name: &'a str,
    pub(crate) mac: [u8; 6],
    pub(crate) capabilities: DeviceCapabilities,
    pub(crate) hint: Option<&'a str>,
}

impl Iface {
    pub(crate) fn new(common: &mut Common, parts: &Parts<'_>, now: Instant) -> Self {
        let settings = &common.settings;
        let addressing = Addressing::new(settings, parts.name, parts.mac, parts.hint, now);
        let mut others = SocketSet::new(vec![]);
        let dns = others.add(dns::Socket::new(&[], vec![]));
        let dhcp = addressing.asks_dhcp().then(|| {
            let mut socket = dhcpv4::Socket::new();
            set_patience(&mut socket, DISCOVER);
            others.add(socket)
        });
        let mut new = Self {
            id: parts.id,
            name: parts.name.into(),
            mac: parts.mac,
            up: false,
            smol: make(common, parts.mac, &parts.capabilities, now),
            others,
            others_active: true,
            others_due: None,
            conns: Conns::default(),
            admitted: 0,
            addressing,
            parked: Parked::default(),
            ledger: Ledger {
                traffic: Traffic::default(),
                ident: (common.random)() as u16,
                sums: parts.capabilities.checksum.tcp.tx(),
            },
            full_since: None,
            work: Rc::default(),
            dns,
            questions: 0,
            udp: Vec::new(),
            leaving: Vec::new(),
            stuck: Vec::new(),
            patience: dhcp.map(|_| now.after(BEGINNING)),
            dhcp,
            ask_again: None,
            groups_due: true,
            mtu: parts.capabilities.ip_mtu(),
        };
        for (id, socket) in &common.udp {
            let handle = new.others.add(make_udp(socket.port));
            new.udp.push((*id, handle));
        }
        if let Some(text) = new.addressing.describe() {
            info!(common.log, &new.name, "{text}");
        }
        new.apply_addresses();
        new
    }

    /// The same interface over another wire, which may have other capabilities. Sockets, addresses
    /// and routes stay.
    pub(crate) fn connect_anew(
        &mut self,
        common: &mut Common,
        parts: &Parts<'_>,
        now: Instant,
    ) -> Rc<Notify> {
        let smol = make(common, parts.mac, &parts.capabilities, now);
        self.smol = smol;
        self.addressing.forget_applied();
        self.addressing.auto.begin_anew(parts.mac, now);
        self.mac = parts.mac;
        self.full_since = None;
        self.groups_due = true;
        self.mtu = parts.capabilities.ip_mtu();
        self.ledger.sums = parts.capabilities.checksum.tcp.tx();
        self.apply_addresses();
        // The task of the former wire ends.
        core::mem::take(&mut self.work).notify();
        self.work.clone()
    }

    /// Has the interface have the addresses it should.
    fn apply_addresses(&mut self) {
        let changed = self.addressing.apply(&mut self.smol);
        let servers = self.addressing.dns();
        let socket = self.others.get_mut::<dns::Socket<'_>>(self.dns);
        socket.update_servers(&servers);
        self.others_active = true;
        if changed {
            self.groups_due = true;
            // Those whose address is gone must see it.
            self.conns.activate_all();
        }
    }

    /// Sees to what ends with time: what routers advertised, and fragments.
    pub(crate) fn maintain(&mut self, now: Instant) {
        self.smol.poll_maintenance(to_smoltcp(now));
        if self.addressing.auto.expire(now) {
            self.apply_addresses();
        }
    }

    /// The groups that the interface is in, by their Ethernet addresses: all hosts, and those by
    /// which neighbours ask for its IPv6 addresses.
    pub(crate) fn groups(&self) -> Vec<[u8; 6]> {
        let mut groups: Vec<[u8; 6]> = ALL_HOSTS.into();
        for address in self.smol.ip_addrs() {
            if let IpCidr::Ipv6(address) = address {
                let [.., a, b, c] = address.address().octets();
                let group = [0x33, 0x33, 0xff, a, b, c];
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
        }
        groups
    }

    /// A router speaks.
    pub(crate) fn hear_router(&mut self, common: &Common, advert: &Advert, now: Instant) {
        if !self.addressing.auto.hear(advert, now) {
            return;
        }
        self.apply_addresses();
        let mut text = String::from("from an IPv6 router:");
        for address in self.addressing.auto.addresses() {
            // Writing to a String cannot fail.
            let _ = write!(text, " {address},");
        }
        match self.addressing.auto.router() {
            Some(router) => text += &format!(" gateway {router}"),
            None => text += " no gateway",
        }
        common
            .log
            .limited(Level::Info, &self.name, format_args!("{text}"));
    }

    /// Has the connection looked at by the task that moves packets.
    pub(crate) fn activate(&mut self, id: ConnId) {
        self.conns.activate(id);
        self.work.notify();
    }

    /// The same for the other sockets.
    pub(crate) fn activate_others(&mut self) {
        self.others_active = true;
        self.work.notify();
    }

    /// After the other sockets were polled: what DHCP says, and when they have something to do.
    pub(crate) fn settle_others(&mut self, common: &mut Common, now: Instant) {
        if let Some(handle) = self.dhcp {
            self.ask_dhcp(common, handle, now);
        }
        self.drop_stuck(now);
        self.leaving.retain(|(handle, end)| {
            let stays = *end > now && self.others.get::<udp::Socket<'_>>(*handle).send_queue() > 0;
            if !stays {
                self.others.remove(*handle);
            }
            stays
        });
        let at = self.smol.poll_at(to_smoltcp(now), &self.others);
        let due = [at.map(from_smoltcp), self.ask_again];
        self.others_due = due.into_iter().flatten().min();
    }

    /// Drops what UDP sockets cannot send: a datagram for a neighbour that does not answer would
    /// hold up all others for ever. What such a socket has received is lost with it.
    fn drop_stuck(&mut self, now: Instant) {
        let before = core::mem::take(&mut self.stuck);
        for (_, handle) in &self.udp {
            let socket = self.others.get_mut::<udp::Socket<'_>>(*handle);
            let queued = socket.send_queue();
            if queued == 0 {
                continue;
            }
            let same = |stuck: &&Stuck| stuck.handle == *handle && stuck.queued == queued;
            let since = before.iter().find(same).map_or(now, |stuck| stuck.since);
            if now < since.after(LEAVING) {
                self.stuck.push(Stuck {
                    handle: *handle,
                    queued,
                    since,
                });
                continue;
            }
            let port = socket.endpoint().port;
            socket.close();
            // It was bound to it before.
            let _bound = socket.bind(port);
        }
    }

    fn ask_dhcp(&mut self, common: &Common, handle: SocketHandle, now: Instant) {
        let socket = self.others.get_mut::<dhcpv4::Socket<'_>>(handle);
        if self.patience.is_some_and(|until| until <= now) {
            set_patience(socket, DISCOVER_LATER);
            self.patience = None;
        }
        if self.ask_again.is_some_and(|at| at <= now) {
            self.ask_again = None;
            socket.reset();
        }
        let name = self.name.as_str();
        let lease = match socket.poll() {
            None => return,
            Some(dhcpv4::Event::Deconfigured) => None,
            Some(dhcpv4::Event::Configured(config)) => Some(Lease::read(&config)),
        };
        let (level, text) = match &lease {
            Some(Some(lease)) => (Level::Info, format!("{lease}")),
            // What was there before is still good until it ends.
            Some(None) => {
                let text = "a DHCP server's lease is none to live with: left alone";
                common
                    .log
                    .limited(Level::Warn, name, format_args!("{text}"));
                self.ask_again = self.ask_again.or(Some(now.after(DISCOVER_LATER)));
                return;
            }
            None if self.addressing.has_lease() => {
                (Level::Warn, "the lease from DHCP has ended".into())
            }
            None => return,
        };
        common.log.limited(level, name, format_args!("{text}"));
        self.ask_again = None;
        self.addressing.set_lease(lease.flatten());
        self.apply_addresses();
    }

    /// Whether the interface leads to `to`: 2 if it is in its network, 1 if there is a way out.
    pub(crate) fn leads_to(&self, to: IpAddress) -> u8 {
        if !self.up {
            return 0;
        }
        let of_version = |cidr: &&IpCidr| cidr.address().version() == to.version();
        if self
            .smol
            .ip_addrs()
            .iter()
            .any(|own| own.contains_addr(&to))
        {
            return 2;
        }
        let link_local =
            |cidr: &&IpCidr| matches!(cidr, IpCidr::Ipv6(cidr) if is_link_local(cidr.address()));
        let mut own = self.smol.ip_addrs().iter().filter(of_version);
        let gateway = match to {
            IpAddress::Ipv4(_) => self.smol.routes().get_default_ipv4_route(),
            IpAddress::Ipv6(_) => self.smol.routes().get_default_ipv6_route(),
        };
        u8::from(gateway.is_some() && own.any(|cidr| !link_local(&cidr)))
    }

    /// Tells whoever waits for a UDP socket of the interface that there is none any more.
    pub(crate) fn close_udp(&mut self) {
        for (_, handle) in &self.udp {
            self.others.get_mut::<udp::Socket<'_>>(*handle).close();
        }
    }

    /// Nobody has this UDP socket any more; what it was given is still sent.
    pub(crate) fn release_udp(&mut self, id: u64, now: Instant) {
        if let Some(place) = self.udp.iter().position(|(of, _)| *of == id) {
            let (_, handle) = self.udp.swap_remove(place);
            if self.others.get::<udp::Socket<'_>>(handle).send_queue() == 0 {
                self.others.remove(handle);
                return;
            }
            self.leaving.push((handle, now.after(LEAVING)));
            self.activate_others();
        }
    }

    /// Whether a UDP socket at `port` still sends that nobody has any more. Another would get
    /// nothing: what comes is for the first at a port.
    pub(crate) fn is_leaving(&self, port: u16) -> bool {
        let mut ports = self.leaving.iter().map(|(handle, _)| {
            let socket = self.others.get::<udp::Socket<'_>>(*handle);
            socket.endpoint().port
        });
        ports.any(|of| of == port)
    }

    /// The longest IP packet.
    pub(crate) fn mtu(&self) -> usize {
        self.mtu
    }

    /// Bytes that wait in a UDP socket: received, and to be sent.
    pub(crate) fn udp_queues(&self, id: u64) -> Option<(usize, usize)> {
        let (_, handle) = self.udp.iter().find(|(of, _)| *of == id)?;
        let socket = self.others.get::<udp::Socket<'_>>(*handle);
        Some((socket.recv_queue(), socket.send_queue()))
    }

    pub(crate) fn status(&self) -> InterfaceStatus {
        let routes = self.smol.routes();
        let gateways = [
            routes.get_default_ipv4_route(),
            routes.get_default_ipv6_route(),
        ];
        InterfaceStatus {
            name: self.name.clone(),
            mac: self.mac,
            mtu: self.mtu,
            up: self.up,
            addresses: self.smol.ip_addrs().to_vec(),
            gateways: gateways
                .into_iter()
                .flatten()
                .map(|route| route.via_router)
                .collect(),
            dns: self.addressing.dns(),
            source: self.addressing.source(),
            traffic: self.ledger.traffic,
        }
    }
}

fn is_link_local(address: smoltcp::wire::Ipv6Address) -> bool {
    matches!(address.segments(), [0xfe80, 0, 0, 0, ..])
}

fn set_patience(socket: &mut dhcpv4::Socket<'_>, discover: Duration) {
    let mut config = socket.get_retry_config();
    config.discover_timeout = discover.into();
    socket.set_retry_config(config);
}

fn make(
    common: &Common,
    mac: [u8; 6],
    capabilities: &DeviceCapabilities,
    now: Instant,
) -> Box<Interface> {
    let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
    config.random_seed = (common.random)();
    let mut device = Nothing(capabilities.clone());
    let mut interface = Box::new(Interface::new(config, &mut device, to_smoltcp(now)));
    interface.set_reassembly_timeout(REASSEMBLY.into());
    interface
}
