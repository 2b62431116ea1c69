//! Ethernet frames as tests write them.

use crate::netback::checksum;

/// An Ethernet header.
#[must_use]
pub fn ethernet(to: [u8; 6], from: [u8; 6], kind: u16) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend(from);
    frame.extend(kind.to_be_bytes());
    frame
}

fn ipv4(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).expect("a packet is short");
    let [high, low] = length.to_be_bytes();
    let mut packet = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    packet.extend(from);
    packet.extend(to);
    packet.extend(payload);
    packet
}

fn finished(mut frame: Vec<u8>) -> Vec<u8> {
    checksum::make(&mut frame).expect("a frame of ours is right");
    frame
}

/// Somebody on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The Ethernet address.
    pub mac: [u8; 6],
    /// The IPv4 address.
    pub ip: [u8; 4],
}

/// A UDP datagram, checksums made.
///
/// # Panics
/// If it is longer than a packet may be.
#[must_use]
pub fn udp((from, port): (Address, u16), (to, to_port): (Address, u16), data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).expect("a packet is short");
    let mut payload = Vec::new();
    for word in [port, to_port, length, 0] {
        payload.extend(word.to_be_bytes());
    }
    payload.extend(data);
    let mut frame = ethernet(to.mac, from.mac, 0x0800);
    frame.extend(ipv4(from.ip, to.ip, 17, &payload));
    finished(frame)
}

/// A TCP segment without options (ACK and PSH set), checksums made.
///
/// # Panics
/// If it is longer than a packet may be.
#[must_use]
pub fn tcp(
    (from, port): (Address, u16),
    (to, to_port): (Address, u16),
    sequence: u32,
    data: &[u8],
) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.extend(port.to_be_bytes());
    payload.extend(to_port.to_be_bytes());
    payload.extend(sequence.to_be_bytes());
    payload.extend([0, 0, 0, 0, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    payload.extend(data);
    let mut frame = ethernet(to.mac, from.mac, 0x0800);
    frame.extend(ipv4(from.ip, to.ip, 6, &payload));
    finished(frame)
}

/// An echo request ("ping"), checksums made.
#[must_use]
pub fn ping(from: Address, to: Address, sequence: u16, data: &[u8]) -> Vec<u8> {
    let mut payload = vec![8, 0, 0, 0, 0x12, 0x34];
    payload.extend(sequence.to_be_bytes());
    payload.extend(data);
    let mut frame = ethernet(to.mac, from.mac, 0x0800);
    frame.extend(ipv4(from.ip, to.ip, 1, &payload));
    finished(frame)
}

/// Who has that address? The sender's hardware address is `from.mac`.
#[must_use]
pub fn arp_request(from: Address, wanted: [u8; 4]) -> Vec<u8> {
    arp(from, ([0xff; 6], [0; 6]), 1, wanted)
}

/// The answer to such a question.
#[must_use]
pub fn arp_reply(from: Address, to: Address) -> Vec<u8> {
    arp(from, (to.mac, to.mac), 2, to.ip)
}

fn arp(from: Address, (to, target): ([u8; 6], [u8; 6]), kind: u8, ip: [u8; 4]) -> Vec<u8> {
    let mut frame = ethernet(to, from.mac, 0x0806);
    frame.extend([0, 1, 8, 0, 6, 4, 0, kind]);
    frame.extend(from.mac);
    frame.extend(from.ip);
    frame.extend(target);
    frame.extend(ip);
    frame
}
