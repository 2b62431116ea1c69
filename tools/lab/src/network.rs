//! dom0's network: a bridge for guests with DHCP, IPv6 and DNS, and a way from the host to one
//! guest's page. It is made when it is first asked for; `dom0/network.sh` says what it is made of.

use crate::nest::Nest;
use crate::qemu::PAGE_PORT;
use crate::running::Running;
use anyhow::{Result, bail};
use std::net::SocketAddr;
use std::time::Duration;

/// The bridge that a guest's `vif` names.
pub const BRIDGE: &str = "xenbr0";
/// dom0's address on it.
pub const DOM0: &str = "10.0.0.1";
/// What dnsmasq knows of whom it gave an address: lines of time, MAC, address, name, client.
pub const LEASES: &str = "/run/lab/leases";
/// What dnsmasq was asked and what it answered.
pub const DNSMASQ_LOG: &str = "/run/lab/dnsmasq.log";

/// dom0's side of QEMU's network.
const OUTSIDE: &str = "10.0.2.15";

impl Nest {
    /// Makes dom0's network, if it is not there yet.
    ///
    /// # Errors
    /// What dom0 says.
    pub fn network(&self) -> Result<()> {
        self.check("/run/lab/network")?;
        Ok(())
    }

    /// Leads a port of this host to port 80 of `guest`, an address on dom0's bridge. There is one
    /// such port a nest.
    ///
    /// # Errors
    /// If dom0's network cannot be made, or the port leads elsewhere already.
    pub fn forward(&self, guest: &str) -> Result<Forward> {
        self.network()?;
        let listens = format!("ss -Hltn src {OUTSIDE}:{PAGE_PORT} | grep -q .");
        if self.run(&listens)?.success() {
            bail!("dom0's port {PAGE_PORT} is in use: it leads to a guest already");
        }
        let line = format!(
            "exec socat TCP-LISTEN:{PAGE_PORT},bind={OUTSIDE},fork,reuseaddr,backlog=64 \
             TCP:{guest}:80"
        );
        let mut socat = self.spawn(&line)?;
        let waits = format!("for i in {{1..100}}; do {listens} && exit; sleep 0.1; done; exit 1");
        if !self.run(&waits)?.success() {
            let ended = socat.wait_for(Duration::ZERO)?;
            bail!("in dom0, without a listener: {line}\n{ended:?}");
        }
        Ok(Forward {
            address: self.page(),
            _socat: socat,
        })
    }
}

/// A way from the host to a guest. Dropped, it is closed.
pub struct Forward {
    address: SocketAddr,
    _socat: Running,
}

impl Forward {
    /// Where it begins, on this host.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to type into a browser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}
