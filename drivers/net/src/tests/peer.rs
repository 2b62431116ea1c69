//! A TCP peer made by hand, which says what no stack would.

use std::rc::Rc;
use std::time::Duration;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Address, Ipv4Packet, TcpControl, TcpPacket,
    TcpRepr, TcpSeqNumber,
};

use super::frames::{STRANGER, ethernet, ipv4};
use super::world::{Host, Port, World};

/// The peer's address and the host's.
const PEER: Ipv4Address = Ipv4Address::new(10, 0, 0, 66);
const HOST: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);

/// What the host said in a segment.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) sequence: i32,
    pub(super) acknowledged: i32,
    pub(super) window: usize,
    pub(super) scale: Option<u8>,
    pub(super) syn: bool,
    pub(super) length: usize,
}

/// 10.0.0.66, which talks to port 7 of 10.0.0.1.
pub(super) struct Peer {
    tap: Rc<Port>,
    mac: [u8; 6],
    host: Rc<Port>,
    pub(super) scale: Option<u8>,
}

/// An ARP request of `address`'s for the host's, from the stranger.
pub(super) fn arp(to: [u8; 6], address: Ipv4Address) -> Vec<u8> {
    let mut frame = ethernet(to, EthernetProtocol::Arp, 28);
    frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&STRANGER.0);
    frame[28..32].copy_from_slice(&address.octets());
    frame[38..42].copy_from_slice(&HOST.octets());
    frame
}

impl Peer {
    /// The host knows it.
    pub(super) fn new(world: &World, host: &Host) -> Self {
        let new = Self {
            tap: world.hub.plug_in(),
            mac: host.mac(),
            host: host.port.clone(),
            scale: Some(7),
        };
        new.host.deliver(arp(new.mac, PEER));
        world.run_for(Duration::from_millis(1));
        new.hear();
        new
    }

    /// A segment from `port`, with as much payload.
    pub(super) fn say(
        &self,
        port: u16,
        control: TcpControl,
        sequence: i32,
        acknowledged: Option<i32>,
        payload: &[u8],
    ) {
        let greets = control == TcpControl::Syn;
        let repr = TcpRepr {
            src_port: port,
            dst_port: 7,
            control,
            seq_number: TcpSeqNumber(sequence),
            ack_number: acknowledged.map(TcpSeqNumber),
            window_len: 64_000,
            window_scale: self.scale.filter(|_| greets),
            max_seg_size: greets.then_some(1460),
            sack_permitted: false,
            sack_ranges: [None, None, None],
            timestamp: None,
            payload,
        };
        let mut segment = vec![0; repr.buffer_len()];
        repr.emit(
            &mut TcpPacket::new_unchecked(&mut segment),
            &PEER.into(),
            &HOST.into(),
            &ChecksumCapabilities::default(),
        );
        let frame = ipv4(self.mac, (PEER, HOST), IpProtocol::Tcp, &segment);
        self.host.deliver(frame);
    }

    /// What the host has said since.
    pub(super) fn hear(&self) -> Vec<Said> {
        let frames: Vec<_> = self.tap.inbox.borrow_mut().drain(..).collect();
        frames.iter().filter_map(|frame| read(frame)).collect()
    }

    /// Connects from `port`, with 1 as the first sequence number; what the host greets with.
    pub(super) fn connect(&self, world: &World, port: u16) -> Said {
        self.say(port, TcpControl::Syn, 0, None, &[]);
        world.run_for(Duration::from_millis(1));
        let greeting = self.hear().pop().expect("a greeting");
        assert!(greeting.syn && greeting.acknowledged == 1, "{greeting:?}");
        let next = greeting.sequence.wrapping_add(1);
        self.say(port, TcpControl::None, 1, Some(next), &[]);
        greeting
    }
}

fn read(frame: &[u8]) -> Option<Said> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    if packet.next_header() != IpProtocol::Tcp || packet.dst_addr() != PEER {
        return None;
    }
    let segment = TcpPacket::new_checked(packet.payload()).ok()?;
    assert!(segment.verify_checksum(&HOST.into(), &PEER.into()));
    let sums = ChecksumCapabilities::default();
    let repr = TcpRepr::parse(&segment, &HOST.into(), &PEER.into(), &sums).ok()?;
    Some(Said {
        sequence: segment.seq_number().0,
        acknowledged: segment.ack_number().0,
        window: usize::from(segment.window_len()),
        scale: repr.window_scale,
        syn: segment.syn(),
        length: segment.payload().len(),
    })
}
