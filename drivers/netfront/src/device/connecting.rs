//! From the backend's offer to a link in use.

use alloc::rc::Rc;
use alloc::vec::Vec;

use exec::Level;
use frontend::{Failure, Published};
use hv::Hypervisor;
use xenbus::state::XenbusState;
use xenbus::{Frontend, StoreError};

use super::Device;
use crate::Event;
use crate::carrier::Carrier;
use crate::connection::Connection;
use crate::fault::Fault;
use crate::feature::Features;
use crate::frame::ETHERNET;
use crate::keys;
use crate::link::{Description, Link};
use crate::queues::{Peer, Queues};

/// The share of the domain's memory that a backend may still have of former connections while a new
/// one is made.
const PARKED_SHARE: usize = 8;

/// What a former connection, or another system before this one, may have said that is not true now.
const STALE: [&str; 14] = [
    "queue-0",
    "queue-1",
    "queue-2",
    "queue-3",
    "queue-4",
    "queue-5",
    "queue-6",
    "queue-7",
    "feature-no-csum-offload",
    "feature-gso-tcpv4-prefix",
    "feature-gso-tcpv6-prefix",
    "ctrl-ring-ref",
    "event-channel-ctrl",
    "xdp-headroom",
];

impl<H: Hypervisor> Device<H> {
    /// Tells the backend where the rings are.
    pub(super) async fn publish_rings(
        &mut self,
        frontend: &Frontend,
    ) -> Result<Published, Failure> {
        let domain = frontend.backend_domain();
        // A backend that kept pages may have let go of them a moment ago.
        self.pv.grants.sweep();
        let kept = self.leavings.sweep(domain) + self.pv.grants.parked_by(domain);
        // Other backends are not to suffer for what this one keeps.
        if kept > self.pv.hv.memory_use().total / PARKED_SHARE {
            let text = format_args!("the backend still has {kept} pages of former connections");
            self.pv.log.limited(Level::Warn, &self.name, text);
            return Ok(Published::PutOff);
        }
        let offers = keys::offers(frontend, self.queues).await?;
        let mut features = offers.accept(self.queues).ok_or(Fault::NoCopy)?;
        features.multicast &= self.filter.get();
        let mac = keys::address(frontend).await?;
        let mtu = features.mtu(keys::mtu(frontend).await?);
        let address_hint = keys::address_hint(frontend).await?;
        // A device that does not say is trusted (netif.h).
        let trusted = frontend.read::<u8>("trusted").await != Ok(0);
        let peer = Peer {
            domain,
            trusted,
            name: &self.name,
        };
        loop {
            frontend.withdraw(&stale(&features)).await?;
            let late = self.leavings.reserve(domain, "late vif");
            let mut queues = match Queues::new(&self.pv, peer, features, mtu + ETHERNET) {
                // Each queue has pages and ports of its own.
                Err(Fault::Memory(_) | Fault::Port(_)) if features.queues > 1 => {
                    features.queues = 1;
                    continue;
                }
                made => made?,
            };
            let keys = queues.keys();
            let connection = Connection::new(&self.pv.exec, queues, late);
            match frontend.publish(&keys, XenbusState::Connected).await {
                Ok(()) => {
                    let description = Description {
                        name: self.name.clone(),
                        mac,
                        mtu,
                        address_hint,
                        features,
                    };
                    self.connection = Some((Rc::new(connection), description));
                    return Ok(Published::Rings);
                }
                Err(StoreError::Quota) if features.queues > 1 => features.queues = 1,
                Err(error) => {
                    // It may have been published all the same.
                    connection.end();
                    return Err(error.into());
                }
            }
        }
    }

    /// The backend serves the rings: the link is there.
    pub(super) async fn show_link(&mut self, frontend: &Frontend) {
        self.carrier = Carrier::watch(frontend).await;
        let up = keys::carrier(frontend).await;
        let Some((connection, description)) = &self.connection else {
            return;
        };
        connection.set_carrier(up.unwrap_or(true));
        exec::info!(
            self.pv.log,
            &self.name,
            "vif {}: mtu {}, {}",
            self.number,
            description.mtu,
            description.features,
        );
        let link = Link::new(connection.clone(), description.clone());
        self.events.push(Event::Up(link));
    }
}

/// The keys that a former connection may have left, and that a backend would believe of one with
/// `features`.
fn stale(features: &Features) -> Vec<&'static str> {
    let mut keys = STALE.to_vec();
    if features.queues == 1 {
        keys.push("multi-queue-num-queues");
    }
    if features.queues > 1 {
        keys.extend(["tx-ring-ref", "rx-ring-ref"]);
    }
    if features.queues > 1 || features.split {
        keys.push("event-channel");
    }
    if features.queues > 1 || !features.split {
        keys.extend(["event-channel-tx", "event-channel-rx"]);
    }
    if !features.multicast {
        keys.push("request-multicast-control");
    }
    keys
}
