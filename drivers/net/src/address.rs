//! What `ip=` says.

use alloc::string::String;
use alloc::vec::Vec;

use smoltcp::wire::{IpAddress, IpCidr};

use crate::stack::is_peer;

/// One `ip=` of the kernel command line: `[xnN:]dhcp|off|ADDRESS/LENGTH[,GATEWAY[,DNS]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSetting {
    /// The interface it is about; every one that no other setting names if there is none.
    pub interface: Option<String>,
    /// How it gets its addresses.
    pub source: AddressSource,
}

/// How an interface gets its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// From a DHCP server, and IPv6 from a router.
    Dhcp,
    /// Not at all.
    Off,
    /// As they are given.
    Static(StaticAddress),
}

/// An address given by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    /// The address and how long its network's prefix is.
    pub address: IpCidr,
    /// Where the way out is.
    pub gateway: Option<IpAddress>,
    /// Name servers.
    pub dns: Vec<IpAddress>,
}

impl AddressSetting {
    /// Reads a setting; `None` if it says nothing that an interface can have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (interface, rest) = match text.split_once(':') {
            // An IPv6 address has colons, too.
            Some((name, rest)) if is_name(name) => (Some(name.into()), rest),
            _ => (None, text),
        };
        let source = match rest {
            "dhcp" => AddressSource::Dhcp,
            "off" => AddressSource::Off,
            _ => AddressSource::Static(StaticAddress::parse(rest)?),
        };
        Some(Self { interface, source })
    }
}

/// Whether `name` is an interface's: `xn0`.
fn is_name(name: &str) -> bool {
    let digits = name.strip_prefix("xn").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl StaticAddress {
    /// Reads `ADDRESS/LENGTH[,GATEWAY[,DNS]]`, all of one version.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(',');
        let address = cidr(words.next()?)?;
        let same = |word: &str| {
            let other: IpAddress = word.parse().ok()?;
            let same = other.version() == address.address().version();
            (same && is_peer(other) && other != address.address()).then_some(other)
        };
        let gateway = words.next().map(|word| same(word).ok_or(()));
        let dns = words.next().map(|word| same(word).ok_or(()));
        if words.next().is_some() {
            return None;
        }
        Some(Self {
            address,
            gateway: gateway.transpose().ok()?,
            dns: dns.transpose().ok()?.into_iter().collect(),
        })
    }

    /// The addresses that a backend names, as `ip=` of a vif in an xl configuration has them:
    /// parted by spaces, with a length or without (of 24 bits then, or 64 for IPv6). What is none
    /// is left out.
    pub(crate) fn hints(text: &str) -> Vec<Self> {
        let words = text.split([' ', ',']).take(8);
        words
            .filter_map(|word| {
                let length = if word.contains(':') { "64" } else { "24" };
                let whole = match word.contains('/') {
                    true => word.into(),
                    false => alloc::format!("{word}/{length}"),
                };
                Some(Self {
                    address: cidr(&whole)?,
                    gateway: None,
                    dns: Vec::new(),
                })
            })
            .collect()
    }
}

/// An address that a host can have, and its prefix.
fn cidr(text: &str) -> Option<IpCidr> {
    let (_, length) = text.split_once('/')?;
    let plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let cidr: IpCidr = text.parse().ok()?;
    let sound = match cidr {
        IpCidr::Ipv4(cidr) => {
            let (address, bits) = (cidr.address(), cidr.prefix_len());
            let edge = Some(address) == cidr.broadcast() || address == cidr.network().address();
            bits > 0 && !(bits < 31 && edge)
        }
        IpCidr::Ipv6(cidr) => cidr.prefix_len() > 0,
    };
    (plain && sound && is_peer(cidr.address())).then_some(cidr)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> Option<(Option<String>, StaticAddress)> {
        let setting = AddressSetting::parse(text)?;
        match setting.source {
            AddressSource::Static(address) => Some((setting.interface, address)),
            AddressSource::Dhcp | AddressSource::Off => None,
        }
    }

    #[test]
    fn settings_are_read() {
        let (interface, address) = fixed("10.0.0.5/24,10.0.0.1,10.0.0.2").unwrap();
        assert_eq!(interface, None);
        assert_eq!(address.address.to_string(), "10.0.0.5/24");
        assert_eq!(address.gateway, Some(IpAddress::v4(10, 0, 0, 1)));
        assert_eq!(address.dns, [IpAddress::v4(10, 0, 0, 2)]);
        let (interface, address) = fixed("xn12:fd00::5/64,fd00::1").unwrap();
        assert_eq!(interface.as_deref(), Some("xn12"));
        assert_eq!(address.address.to_string(), "fd00::5/64");
        assert!(fixed("fd00::5/64").unwrap().0.is_none());
        let off = AddressSetting::parse("xn0:off").unwrap();
        assert_eq!(off.source, AddressSource::Off);
        let dhcp = AddressSetting::parse("dhcp").unwrap();
        assert_eq!(dhcp.source, AddressSource::Dhcp);
    }

    #[test]
    fn what_no_host_can_have_is_refused() {
        for text in [
            "",
            "on",
            "xn:dhcp",
            "eth0:dhcp",
            "xn0:",
            "10.0.0.5",
            "10.0.0.5/",
            "10.0.0.5/33",
            "10.0.0.5/+8",
            "10.0.0.5/0",
            "10.0.0.0/24",
            "10.0.0.255/24",
            "0.0.0.0/8",
            "127.0.0.1/8",
            "224.0.0.1/4",
            "255.255.255.255/32",
            "10.0.0.5/24,",
            "10.0.0.5/24,x",
            "10.0.0.5/24,10.0.0.5",
            "10.0.0.5/24,0.0.0.0",
            "10.0.0.5/24,fd00::1",
            "10.0.0.5/24,10.0.0.1,224.0.0.1",
            "10.0.0.5/24,10.0.0.1,10.0.0.2,10.0.0.3",
            "::/64",
            "::1/128",
            "ff02::1/64",
            "fd00::5/129",
            "dhcp,10.0.0.1",
        ] {
            assert_eq!(AddressSetting::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_backends_word_is_read_as_far_as_it_can_be() {
        let text = "10.0.0.5 nonsense fd00::5 10.1.0.5/16 0.0.0.0";
        let hints = StaticAddress::hints(text);
        let addresses: Vec<_> = hints.iter().map(|hint| hint.address.to_string()).collect();
        assert_eq!(addresses, ["10.0.0.5/24", "fd00::5/64", "10.1.0.5/16"]);
    }
}
