//! A DHCP server on a switch: gives each of those it knows its address, again and again.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetFrame,
    EthernetProtocol, IpProtocol, Ipv4Address, Ipv4Packet, UdpPacket,
};

use crate::frames::{Address, arp_reply, udp};
use crate::{Actor, Host, Next, Switch, Xen};

/// Who a client is sent to that has no address yet.
const EVERYBODY: Address = Address {
    mac: [0xff; 6],
    ip: [255; 4],
};

/// A running server; clones are the same one.
#[derive(Clone)]
pub struct Dhcpd(Rc<RefCell<Server>>);

struct Server {
    host: Host,
    own: Address,
    clients: Vec<Address>,
    lease: Duration,
    acknowledged: u64,
}

impl Dhcpd {
    /// A server with an address of its own, for these clients. Their network has 24 bits.
    #[must_use]
    pub fn start(
        xen: &Xen,
        switch: &Switch,
        own: Address,
        clients: Vec<Address>,
        lease: Duration,
    ) -> Self {
        let host = switch.host();
        let server = Rc::new(RefCell::new(Server {
            host: host.clone(),
            own,
            clients,
            lease,
            acknowledged: 0,
        }));
        host.set_listener(xen.spawn("dhcpd", server.clone()));
        Self(server)
    }

    /// Leases given and renewed so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.0.borrow().acknowledged
    }
}

impl Server {
    /// What a frame is answered with, if it is for a server.
    fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        match frame.ethertype() {
            EthernetProtocol::Arp => self.tell(frame.payload()),
            EthernetProtocol::Ipv4 => self.lease(frame.payload()),
            _ => None,
        }
    }

    /// Where the server is.
    fn tell(&self, question: &[u8]) -> Option<Vec<u8>> {
        let ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } = ArpRepr::parse(&ArpPacket::new_checked(question).ok()?).ok()?
        else {
            return None;
        };
        let asks = Address {
            mac: source_hardware_addr.0,
            ip: source_protocol_addr.octets(),
        };
        (target_protocol_addr.octets() == self.own.ip).then(|| arp_reply(self.own, asks))
    }

    fn lease(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let packet = Ipv4Packet::new_checked(packet).ok()?;
        if packet.next_header() != IpProtocol::Udp {
            return None;
        }
        let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
        if datagram.dst_port() != 67 {
            return None;
        }
        let question = DhcpPacket::new_checked(datagram.payload()).ok()?;
        let question = DhcpRepr::parse(&question).ok()?;
        let mac = question.client_hardware_address.0;
        let client = *self.clients.iter().find(|client| client.mac == mac)?;
        let message_type = match question.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request => DhcpMessageType::Ack,
            _ => return None,
        };
        let own = Ipv4Address::from(self.own.ip);
        // Whoever renews has an address to be sent to.
        let renews = question.client_ip == Ipv4Address::from(client.ip);
        let answer = DhcpRepr {
            message_type,
            your_ip: client.ip.into(),
            server_ip: own,
            router: None,
            subnet_mask: Some([255, 255, 255, 0].into()),
            server_identifier: Some(own),
            lease_duration: u32::try_from(self.lease.as_secs()).ok(),
            requested_ip: None,
            client_identifier: None,
            parameter_request_list: None,
            max_size: None,
            ..question
        };
        let mut bytes = vec![0; answer.buffer_len()];
        let mut packet = DhcpPacket::new_unchecked(&mut bytes);
        answer.emit(&mut packet).ok()?;
        self.acknowledged += u64::from(message_type == DhcpMessageType::Ack);
        let to = if renews { client } else { EVERYBODY };
        Some(udp((self.own, 67), (to, 68), &bytes))
    }
}

impl Actor for Server {
    fn turn(&mut self, _: &Xen) -> Next {
        while let Some(packet) = self.host.take() {
            if let Some(answer) = self.answer(&packet.bytes) {
                self.host.send(answer);
            }
        }
        Next::Wait
    }
}
