//! dom0's network itself: a Linux guest gets an address there, and the host reaches its page.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::Nest;
use lab::network::{BRIDGE, LEASES};

use super::http::{self, Request};
use crate::test::nested::linux;

/// Where dom0 has the guest's kernel and initrd.
const FOLDER: &str = "/root/linux-net";
/// The guest's interface.
const MAC: &str = "00:16:3e:01:02:03";
/// How long the guest may take to boot and to get its address.
const GUEST: Duration = Duration::from_secs(120);
/// What is on its page.
const PAGE: &str = "a page of busybox";

/// dnsmasq gives a Linux guest an address, through Xen's own script for interfaces; the host finds
/// its page through the nest, more than once.
pub(in crate::test::nested) fn dom0s_network(nest: &Nest) -> Result<()> {
    nest.network()?;
    nest.network().context("a second time")?;
    linux::prepare(
        nest,
        FOLDER,
        include_bytes!("linux.sh"),
        "xen-netfront af_packet",
    )?;
    let config = format!(
        "type = \"pv\"\nkernel = \"{FOLDER}/kernel\"\nramdisk = \"{FOLDER}/initrd\"\n\
         memory = 256\nvcpus = 1\ncmdline = \"console=hvc0 quiet\"\n\
         vif = [\"bridge={BRIDGE},mac={MAC}\"]\n"
    );
    let mut guest = nest.create_guest("linux-net", &config)?;
    guest.wait_for("NET-UP", GUEST)?;
    let leases = nest.check(&format!("cat {LEASES}"))?;
    let address = leases
        .lines()
        .find_map(|line| line.split_once(MAC)?.1.split_whitespace().next())
        .with_context(|| format!("no lease for {MAC}:\n{leases}"))?;
    nest.check(&format!("ping -q -c 3 -i 0.1 -W 5 {address}"))?;
    let found = nest.check(&format!("curl -sf --max-time 20 http://{address}/"))?;
    ensure!(found.trim() == PAGE, "curl in dom0 found {found:?}");

    let forward = nest.forward(address)?;
    for _ in 0..5 {
        let answer = http::ask(forward.address(), &Request::get("/"))?;
        ensure!(
            answer.status == 200 && answer.text()?.trim() == PAGE,
            "the host found {answer:?}"
        );
    }
    let second = nest.forward(address).err().context("two on one port")?;
    ensure!(second.to_string().contains("in use"), "{second:#}");
    drop(forward);
    guest.destroy()?;
    nest.check(&format!("rm -r {FOLDER}"))?;
    Ok(())
}
