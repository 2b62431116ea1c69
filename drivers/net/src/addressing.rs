//! The addresses of one interface.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use hv::Instant;
use smoltcp::iface::Interface;
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{IpAddress, IpCidr, Ipv4Address, Ipv4Cidr};

use crate::address::{AddressSetting, AddressSource, StaticAddress};
use crate::autoconf::Autoconf;
use crate::frame::is_host;

/// A DHCP server's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    address: Ipv4Cidr,
    server: Ipv4Address,
    router: Option<Ipv4Address>,
    dns: Vec<IpAddress>,
}

impl Lease {
    /// What `config` says, if an interface can live with it.
    pub(crate) fn read(config: &dhcpv4::Config<'_>) -> Option<Self> {
        let address = config.address;
        let network = address.network().address();
        let reserved = address.prefix_len() < 31 && Some(address.address()) == address.broadcast()
            || address.prefix_len() < 31 && address.address() == network;
        let everywhere = address.prefix_len() == 0;
        if everywhere || !is_host(address.address()) || !is_host(config.server.address) || reserved
        {
            return None;
        }
        // One that is not in the network could not be asked where it is.
        let reachable = |router: &Ipv4Address| {
            is_host(*router) && *router != address.address() && address.contains_addr(router)
        };
        let dns = config
            .dns_servers
            .iter()
            .copied()
            .filter(|dns| is_host(*dns));
        Some(Self {
            address,
            server: config.server.address,
            router: config.router.filter(reachable),
            dns: dns.map(IpAddress::from).collect(),
        })
    }
}

/// `10.0.0.5/24 by DHCP from 10.0.0.1, gateway 10.0.0.1, DNS 10.0.0.1`.
impl core::fmt::Display for Lease {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} by DHCP from {}", self.address, self.server)?;
        match self.router {
            Some(router) => write!(f, ", gateway {router}")?,
            None => f.write_str(", no gateway")?,
        }
        self.dns.iter().try_for_each(|dns| write!(f, ", DNS {dns}"))
    }
}

/// Where an interface's addresses come from, and which it has.
#[derive(Debug)]
pub(crate) struct Addressing {
    statics: Vec<StaticAddress>,
    /// The first of them was the backend's word.
    hinted: bool,
    off: bool,
    dhcp: bool,
    lease: Option<Lease>,
    pub(crate) auto: Autoconf,
    /// What this part gave the interface.
    applied: Vec<IpCidr>,
}

impl Addressing {
    /// For the interface `name`, of what the command line says and, if that says nothing, the
    /// backend.
    pub(crate) fn new(
        settings: &[AddressSetting],
        name: &str,
        mac: [u8; 6],
        hint: Option<&str>,
        now: Instant,
    ) -> Self {
        let named = |setting: &&AddressSetting| setting.interface.as_deref() == Some(name);
        let general = |setting: &&AddressSetting| setting.interface.is_none();
        let mut mine: Vec<&AddressSetting> = settings.iter().filter(named).collect();
        if mine.is_empty() {
            mine = settings.iter().filter(general).collect();
        }
        let mut new = Self {
            statics: Vec::new(),
            hinted: false,
            off: false,
            dhcp: false,
            lease: None,
            auto: Autoconf::new(mac, now),
            applied: Vec::new(),
        };
        for setting in &mine {
            match &setting.source {
                AddressSource::Dhcp => new.dhcp = true,
                AddressSource::Off => new.off = true,
                AddressSource::Static(address) => new.statics.push(address.clone()),
            }
        }
        if mine.is_empty() {
            let hints = hint.map(StaticAddress::hints).unwrap_or_default();
            new.hinted = !hints.is_empty();
            new.dhcp = hints.is_empty();
            new.statics = hints;
        }
        if new.off {
            (new.dhcp, new.statics) = (false, Vec::new());
        }
        new
    }

    /// Whether the interface is to have no addresses at all.
    pub(crate) fn is_off(&self) -> bool {
        self.off
    }

    /// Whether a DHCP server is to be asked.
    pub(crate) fn asks_dhcp(&self) -> bool {
        self.dhcp
    }

    /// `dhcp`, `static`, `vif` or `off`.
    pub(crate) fn source(&self) -> &'static str {
        match self {
            Self { off: true, .. } => "off",
            Self { hinted: true, .. } => "vif",
            Self { dhcp: true, .. } => "dhcp",
            _ => "static",
        }
    }

    /// Name servers.
    pub(crate) fn dns(&self) -> Vec<IpAddress> {
        let leased = self.lease.iter().flat_map(|lease| &lease.dns);
        let fixed = self.statics.iter().flat_map(|fixed| &fixed.dns);
        leased
            .chain(fixed)
            .copied()
            .chain(self.auto.dns())
            .collect()
    }

    /// Where a lease comes from.
    pub(crate) fn set_lease(&mut self, lease: Option<Lease>) {
        self.lease = lease;
    }

    pub(crate) fn has_lease(&self) -> bool {
        self.lease.is_some()
    }

    /// What was given by hand, for the log.
    pub(crate) fn describe(&self) -> Option<String> {
        if self.off {
            return Some("no addresses, as the command line says".into());
        }
        let mut text = String::new();
        for fixed in &self.statics {
            let separator = if text.is_empty() { "" } else { "; " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator}{}", fixed.address);
            if let Some(gateway) = fixed.gateway {
                let _ = write!(text, ", gateway {gateway}");
                let near = fixed.address.contains_addr(&gateway);
                if !near && matches!(gateway, IpAddress::Ipv4(_)) {
                    text.push_str(" (which is in another network: nothing will reach it)");
                }
            }
            for dns in &fixed.dns {
                let _ = write!(text, ", DNS {dns}");
            }
        }
        if self.hinted {
            text.push_str(", from the vif's ip=");
        }
        (!text.is_empty()).then_some(text)
    }

    /// The interface is another one, which has nothing.
    pub(crate) fn forget_applied(&mut self) {
        self.applied.clear();
    }

    /// Gives the interface what it should have of this, and takes away what it should not.
    /// Returns whether the addresses are others now.
    pub(crate) fn apply(&mut self, interface: &mut Interface) -> bool {
        if self.off {
            return false;
        }
        let mut wanted: Vec<IpCidr> = [self.auto.link_local().into()].into();
        // What does not fit is left out: of what was given by hand the last, if there is so much.
        wanted.extend(self.lease.iter().map(|lease| IpCidr::Ipv4(lease.address)));
        wanted.extend(self.statics.iter().map(|fixed| fixed.address));
        wanted.extend(self.auto.addresses().map(IpCidr::from));
        let changed = wanted != self.applied;
        if changed {
            interface.update_ip_addrs(|addresses| {
                addresses.clear();
                wanted.iter().for_each(|address| {
                    let _full = addresses.push(*address);
                });
            });
            self.applied = wanted;
        }
        let fixed = |v6: bool| {
            let mut gateways = self.statics.iter().filter_map(|fixed| fixed.gateway);
            gateways.find(|gateway| matches!(gateway, IpAddress::Ipv6(_)) == v6)
        };
        let leased = self.lease.as_ref().and_then(|lease| lease.router);
        let routes = interface.routes_mut();
        routes.remove_default_ipv4_route();
        routes.remove_default_ipv6_route();
        // The table has room for these two.
        if let Some(IpAddress::Ipv4(gateway)) = fixed(false).or(leased.map(IpAddress::from)) {
            let _full = routes.add_default_ipv4_route(gateway);
        }
        let advertised = self.auto.router().map(IpAddress::from);
        if let Some(IpAddress::Ipv6(gateway)) = fixed(true).or(advertised) {
            let _full = routes.add_default_ipv6_route(gateway);
        }
        changed
    }
}
