//! Where the domain has its addresses from.

use anyhow::{Context, Result, ensure};
use lab::Nest;
use lab::network::{DNSMASQ_LOG, DOM0, LEASES};

use super::node::{self, ADDRESS, MAC};
use crate::test::nested::domain::start_config;

/// The address of an interface that has no lease yet.
const OWN_MAC: &str = "00:16:3e:00:00:0d";
/// What the domain has of the prefix that dom0 announces: RFC 4291's identifier, made of its MAC.
const ANNOUNCED: &str = "fd00:10::216:3eff:fe00:2";
/// The same of the link.
const LINK_LOCAL: &str = "fe80::216:3eff:fe00:2";

/// dnsmasq in dom0 gives it an address, which both say; it asks dom0's name server too.
pub(in crate::test::nested) fn dhcp(nest: &Nest) -> Result<()> {
    nest.network()?;
    let config = node::config(&node::vif("").replace(MAC, OWN_MAC), "ip=dhcp");
    let mut guest = start_config(nest, "net-dhcp", &config)?;
    let lease = nest.check(&format!(
        "for i in {{1..150}}; do grep {OWN_MAC} {LEASES} && break; sleep 0.2; done"
    ))?;
    let address = lease.split_whitespace().nth(2).context("no lease")?;
    node::wait_for_address(&mut guest, address)?;
    let log = nest.check(&format!("grep -o 'DHCP[A-Z]*(.*{OWN_MAC}' {DNSMASQ_LOG}"))?;
    let words: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split('(').next())
        .collect();
    ensure!(
        words.ends_with(&["DHCPDISCOVER", "DHCPOFFER", "DHCPREQUEST", "DHCPACK"]),
        "dnsmasq was asked:\n{log}"
    );
    node::answers(nest, address)?;
    node::ping(nest, &format!("-i 0.1 {address}"), 5)?;
    let said = guest.command("ping -c 5 -i 100 dom0.lab")?;
    ensure!(
        said.contains("5 packets received, 0.0% packet loss"),
        "{said}"
    );
    let said = guest.command("host dom0.lab")?;
    ensure!(said.contains(DOM0), "host dom0.lab said: {said}");
    guest.destroy()
}

/// It makes itself an address of the prefix that dom0 announces, beside its own on the link.
pub(in crate::test::nested) fn slaac(nest: &Nest) -> Result<()> {
    let mut guest = node::start(nest, "net-slaac", "page=80")?;
    node::wait_for_address(&mut guest, ANNOUNCED)?;
    node::wait_for_address(&mut guest, LINK_LOCAL)?;
    for (address, sizes) in [
        (ANNOUNCED.to_owned(), [0, 56, 1452]),
        (format!("{LINK_LOCAL}%xenbr0"), [0, 57, 1451]),
        (ADDRESS.to_owned(), [0, 56, 1472]),
    ] {
        node::answers(nest, &address)?;
        for size in sizes {
            node::ping(nest, &format!("-i 0.01 -s {size} {address}"), 10)?;
        }
    }
    nest.check(&format!(
        "curl -gsf --max-time 30 'http://[{ANNOUNCED}]/metrics' >/dev/null"
    ))?;
    guest.destroy()
}
