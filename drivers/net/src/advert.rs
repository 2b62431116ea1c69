//! A router's advertisement (RFC 4861, 4.2; RFC 8106), read and judged.

use alloc::vec::Vec;
use core::time::Duration;

use smoltcp::wire::{EthernetFrame, Icmpv6Packet, IpProtocol, Ipv6Address, Ipv6Packet};

use crate::frame::is_host_v6;

/// The only length of a prefix that addresses are made from.
pub(crate) const PREFIX_BITS: u8 = 64;
/// Of each kind of option, how many are read.
const MOST: usize = 8;

/// The message's type, and its bytes before the options.
const ROUTER_ADVERT: u8 = 134;
const HEADER: usize = 16;
/// What a packet that no router forwarded has left.
const HOP_LIMIT: u8 = 255;
/// Options: a prefix, and name servers.
const OPTION_PREFIX: u8 = 3;
const OPTION_DNS: u8 = 25;
/// A prefix's flags.
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;

/// What a router says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advert {
    pub(crate) router: Ipv6Address,
    /// For how long it is one; 0 if it is not.
    pub(crate) lifetime: Duration,
    pub(crate) prefixes: Vec<Prefix>,
    /// Name servers, and for how long.
    pub(crate) dns: Vec<(Ipv6Address, Duration)>,
}

/// A network that a host may give itself an address in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) address: Ipv6Address,
    /// Its hosts are neighbours.
    pub(crate) on_link: bool,
    pub(crate) lifetime: Duration,
}

/// Reads a frame; `None` if it is no advertisement, or none that a host may believe.
pub(crate) fn read(frame: &[u8]) -> Option<Advert> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
    let (router, to) = (packet.src_addr(), packet.dst_addr());
    let near = packet.hop_limit() == HOP_LIMIT && router.is_unicast_link_local();
    if !near || packet.next_header() != IpProtocol::Icmpv6 {
        return None;
    }
    let message = packet.payload();
    let sound = Icmpv6Packet::new_checked(message).ok()?;
    if message.first() != Some(&ROUTER_ADVERT) || !sound.verify_checksum(&router, &to) {
        return None;
    }
    let lifetime = u16::from_be_bytes([*message.get(6)?, *message.get(7)?]);
    let mut advert = Advert {
        router,
        lifetime: Duration::from_secs(lifetime.into()),
        prefixes: Vec::new(),
        dns: Vec::new(),
    };
    let mut options = message.get(HEADER..)?;
    while let [kind, units, ..] = options {
        let length = usize::from(*units) * 8;
        let (option, rest) = options.split_at_checked(length).filter(|_| length > 0)?;
        match *kind {
            OPTION_PREFIX if advert.prefixes.len() < MOST => advert.prefixes.extend(prefix(option)),
            OPTION_DNS if advert.dns.len() < MOST => dns(option, &mut advert.dns),
            _ => {}
        }
        options = rest;
    }
    Some(advert)
}

/// Type, length, bits, flags, valid and preferred lifetime, reserved, prefix.
fn prefix(option: &[u8]) -> Option<Prefix> {
    let (bits, flags) = (*option.get(2)?, *option.get(3)?);
    let address: [u8; 16] = option.get(16..32)?.try_into().ok()?;
    let [first, ..] = address;
    let global = first >> 5 == 0b001;
    let local = first & 0xfe == 0xfc;
    let (valid, preferred) = (seconds(option, 4)?, seconds(option, 8)?);
    let sound = bits == PREFIX_BITS && flags & AUTONOMOUS != 0 && preferred <= valid;
    (sound && (global || local)).then(|| Prefix {
        address: Ipv6Address::from(u128::from_be_bytes(address) >> 64 << 64),
        on_link: flags & ON_LINK != 0,
        lifetime: valid,
    })
}

/// Type, length, reserved, lifetime, addresses.
fn dns(option: &[u8], into: &mut Vec<(Ipv6Address, Duration)>) {
    let Some(lifetime) = seconds(option, 4) else {
        return;
    };
    let (addresses, _) = option.get(8..).unwrap_or_default().as_chunks::<16>();
    for address in addresses.iter().take(MOST) {
        let address = Ipv6Address::from(*address);
        if is_host_v6(address) {
            into.push((address, lifetime));
        }
    }
}

fn seconds(option: &[u8], at: usize) -> Option<Duration> {
    let bytes = option.get(at..at + 4)?.try_into().ok()?;
    Some(Duration::from_secs(u32::from_be_bytes(bytes).into()))
}
