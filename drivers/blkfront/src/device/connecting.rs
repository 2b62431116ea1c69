//! From the backend's offer to a disk in use.

use alloc::vec::Vec;

use frontend::{Failure, beside};
use hv::Hypervisor;
use xenbus::state::XenbusState;
use xenbus::{Frontend, StoreError};

use super::Device;
use crate::fault::Fault;
use crate::feature::Features;
use crate::keys::{late_offers, medium, offers};
use crate::link::Link;

impl<H: Hypervisor> Device<H> {
    /// Tells the backend where the rings are.
    pub(super) async fn publish_rings(&mut self, frontend: &Frontend) -> Result<(), Failure> {
        let backend = frontend.backend_domain();
        self.leavings.make_room(backend)?;
        let offers = offers(frontend, self.queues).await?;
        let mut features = offers.accept(self.queues);
        // A device that does not say is trusted (blkif.h).
        let trusted = frontend.read::<u8>("trusted").await != Ok(0);
        loop {
            let stale = self.stale(features);
            if !stale.is_empty() {
                frontend.withdraw(&stale).await?;
            }
            let late = self.leavings.reserve(backend, &self.identity.name);
            let (pv, identity) = (&self.pv, &self.identity);
            let door = self.kept.as_ref().map(|kept| kept.door.clone());
            let door = door.unwrap_or_default();
            let made = Link::new(pv, frontend, identity, features, trusted, late, door);
            let (link, keys) = match made {
                // Each queue has pages and a port of its own.
                Err(Fault::Ring(_) | Fault::Pool(_) | Fault::Port(_)) if features.queues > 1 => {
                    features.queues = 1;
                    continue;
                }
                made => made?,
            };
            match frontend.publish(&keys, XenbusState::Initialised).await {
                Ok(()) => self.link = Some(link),
                // Large rings have many nodes; with hardly any left, a small one must do.
                Err(StoreError::Quota) if features.ring_order > 0 || features.queues > 1 => {
                    features.ring_order = 0;
                    features.queues = 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            return Ok(());
        }
    }

    /// The keys that a former connection may have left, and that a backend would believe of one
    /// with `features`.
    fn stale(&self, features: Features) -> Vec<&'static str> {
        let mut keys = Vec::new();
        if features.ring_order == 0 {
            keys.extend(["ring-page-order", "num-ring-pages"]);
        }
        match features.queues {
            1 if self.queues > 1 => keys.push("multi-queue-num-queues"),
            1 => {}
            _ => keys.extend(["ring-ref", "event-channel"]),
        }
        keys
    }

    /// The backend serves the rings: GEOM gets its disk.
    pub(super) async fn make_disk(&mut self, frontend: &Frontend) -> Result<(), Failure> {
        let medium = medium(frontend).await?;
        let late = late_offers(frontend).await?;
        frontend.set_state(XenbusState::Connected).await?;
        if let Some(link) = &mut self.link {
            let features = late.add_to(link.queues.features(), medium.sector_size);
            link.queues.set_features(features);
            if let Some(kept) = self.kept.take() {
                link.take_over(kept, medium)?;
            }
            link.set_medium(&self.pv, &self.geom, &self.identity, medium)?;
        }
        Ok(())
    }

    /// The backend may have changed its capacity.
    pub(super) async fn reread_medium(&mut self, frontend: &Frontend) -> Result<(), Failure> {
        let medium = beside(self, frontend, medium(frontend)).await??;
        if let Some(link) = &mut self.link {
            link.set_medium(&self.pv, &self.geom, &self.identity, medium)?;
        }
        Ok(())
    }
}
