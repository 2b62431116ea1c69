//! From the backend's offer to a disk in use.

use alloc::vec::Vec;

use hv::Hypervisor;
use xenbus::StoreError;
use xenbus::state::XenbusState;

use super::{Course, Device};
use crate::failure::Failure;
use crate::feature::Features;
use crate::keys::{late_offers, medium, offers};
use crate::link::Link;

impl<H: Hypervisor> Device<H> {
    /// Tells the backend where the rings are.
    pub(super) async fn publish(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let backend = course.frontend.backend_domain();
        self.leavings.make_room(backend).map_err(Failure::Parked)?;
        let offers = offers(&course.frontend, self.queues).await?;
        let mut features = offers.accept(self.queues);
        // A device that does not say is trusted (blkif.h).
        let trusted = course.frontend.read::<u8>("trusted").await != Ok(0);
        loop {
            let stale = self.stale(features);
            if !stale.is_empty() {
                let withdrawn = course.frontend.withdraw(&stale).await;
                withdrawn.map_err(Failure::Store)?;
            }
            let late = self.leavings.reserve(&self.identity.name);
            let (pv, frontend) = (&self.pv, &course.frontend);
            let made = Link::new(pv, frontend, &self.identity, features, trusted, late);
            let (link, keys) = match made {
                // Each queue has pages and a port of its own.
                Err(Failure::Ring(_) | Failure::Pool(_) | Failure::Port(_))
                    if features.queues > 1 =>
                {
                    features.queues = 1;
                    continue;
                }
                made => made?,
            };
            let published = course.frontend.publish(&keys, XenbusState::Initialised);
            match published.await {
                Ok(()) => course.link = Some(link),
                // Large rings have many nodes; with hardly any left, a small one must do.
                Err(StoreError::Quota) if features.ring_order > 0 || features.queues > 1 => {
                    features.ring_order = 0;
                    features.queues = 1;
                    continue;
                }
                Err(error) => return Err(Failure::Store(error)),
            }
            course.deadline = None;
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
    pub(super) async fn go_live(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let medium = medium(&course.frontend).await?;
        let late = late_offers(&course.frontend).await?;
        course
            .frontend
            .set_state(XenbusState::Connected)
            .await
            .map_err(Failure::Store)?;
        if let Some(link) = &mut course.link {
            let features = late.add_to(link.queues.features(), medium.sector_size);
            link.queues.set_features(features);
            link.set_medium(&self.pv, &self.geom, &self.identity, medium)?;
        }
        course.deadline = None;
        course.connected_at = Some(self.pv.exec.now());
        self.signals.settle();
        Ok(())
    }

    /// The backend may have changed its capacity.
    pub(super) async fn reread(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let Course { frontend, link, .. } = course;
        let medium = self.beside(link, medium(frontend)).await??;
        match link {
            Some(link) => link.set_medium(&self.pv, &self.geom, &self.identity, medium),
            None => Ok(()),
        }
    }
}
