//! Echoes of every size.

use anyhow::{Result, ensure};
use lab::Nest;
use lab::network::BRIDGE;

use super::node::{self, ADDRESS, MAC};
use crate::test::nested::domain::{SECOND, start_config};

/// The largest that fits into 1,500 bytes with the headers of IPv4 and ICMP.
const LARGEST: u32 = 1472;

/// None of 100 is lost: ten of each size at which something may change.
pub(in crate::test::nested) fn some_sizes(nest: &Nest) -> Result<()> {
    let guest = node::start(nest, "net-ping", "")?;
    for size in [0, 1, 2, 17, 18, 19, 56, 57, LARGEST - 1, LARGEST] {
        node::ping(nest, &format!("-i 0.01 -s {size} {ADDRESS}"), 10)?;
    }
    guest.destroy()
}

/// None is lost of one of every size, and of 1,000 as fast as they are answered.
pub(in crate::test::nested) fn every_size(nest: &Nest) -> Result<()> {
    let guest = node::start(nest, "net-ping", "")?;
    let line = format!(
        "for size in $(seq 0 {LARGEST}); do ping -n -q -c 1 -W 10 -s $size {ADDRESS} || exit; done"
    );
    let output = nest.run_for(&line, 600 * SECOND)?;
    let all = "1 packets transmitted, 1 received, 0% packet loss";
    let good = output.stdout.matches(all).count();
    ensure!(
        good == LARGEST as usize + 1,
        "{good} of all sizes: {output}"
    );
    print!("{}", node::ping(nest, &format!("-f {ADDRESS}"), 1000)?);
    guest.destroy()
}

/// Frames of up to 9,000 bytes, where the interface has such an MTU; Xen's own script says it.
pub(in crate::test::nested) fn jumbo(nest: &Nest) -> Result<()> {
    nest.network()?;
    nest.check(&format!("ip link set {BRIDGE} mtu 9000"))?;
    let vif = format!("mac={MAC},bridge={BRIDGE},mtu=9000");
    let config = node::config(&vif, node::STATIC);
    let mut guest = start_config(nest, "net-jumbo", &config)?;
    node::wait_for_address(&mut guest, ADDRESS)?;
    let said = guest.command("ifconfig")?;
    ensure!(said.contains("mtu 9000"), "no mtu of 9000: {said}");
    node::answers(nest, ADDRESS)?;
    for size in [56, 1472, 1473, 4000, 4096, 8192, 8971, 8972] {
        node::ping(nest, &format!("-i 0.01 -M do -s {size} {ADDRESS}"), 10)?;
    }
    guest.destroy()?;
    nest.check(&format!("ip link set {BRIDGE} mtu 1500"))?;
    Ok(())
}
