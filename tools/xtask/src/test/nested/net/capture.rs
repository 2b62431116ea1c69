//! Packets as they pass: on the console, and as a file that tcpdump in dom0 reads.

use anyhow::{Result, ensure};
use lab::Nest;

use super::node::{self, ADDRESS};

/// Where dom0 has the file.
const FILE: &str = "/tmp/capture.pcap";

/// Both show dom0's echo requests and the answers.
pub(in crate::test::nested) fn shows_what_passes(nest: &Nest) -> Result<()> {
    let mut guest = node::start(nest, "net-capture", "page=80 token=s3cret-word")?;
    let pinging = nest.spawn(&format!("exec ping -n -q -i 0.1 -s 77 {ADDRESS}"))?;
    let said = guest.command("tcpdump -c 12 -i xn0")?;
    for address in ["10.0.0.1", ADDRESS] {
        ensure!(said.contains(address), "no {address}: {said}");
    }
    ensure!(said.to_lowercase().contains("echo request"), "{said}");
    ensure!(said.to_lowercase().contains("echo reply"), "{said}");

    // It is cut off in the middle: its reader has seen enough then.
    let token = "Authorization: Bearer s3cret-word";
    nest.run(&format!(
        "curl -sN --max-time 6 -H '{token}' -o {FILE} http://{ADDRESS}/capture.pcap"
    ))?;
    pinging.kill()?;
    let read = nest.check(&format!("tcpdump -Z root -nr {FILE} icmp 2>&1; rm {FILE}"))?;
    for what in ["ICMP echo request", "ICMP echo reply"] {
        let found = read.matches(what).count();
        ensure!(found >= 5, "{found} of {what}:\n{read}");
    }
    ensure!(read.contains("length 85"), "77 bytes and a header:\n{read}");
    guest.destroy()
}
