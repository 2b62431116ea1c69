//! From the backend's offer to a disk in use.

use hv::Hypervisor;
use xenbus::StoreError;
use xenbus::state::XenbusState;

use super::{Course, Device};
use crate::failure::Failure;
use crate::keys::{late_offers, medium, offers};
use crate::late::Late;
use crate::link::Link;

/// The share of the domain's memory that may be parked while a new connection is made.
const PARKED_SHARE: usize = 8;

impl<H: Hypervisor> Device<H> {
    /// Tells the backend where the ring is.
    pub(super) async fn publish(&self, course: &mut Course<H>) -> Result<(), Failure> {
        // A backend that kept pages mapped may have let go of them a moment ago.
        self.pv.grants.sweep();
        let parked = self.pv.grants.usage().parked;
        if parked > self.pv.hv.memory_use().total / PARKED_SHARE {
            return Err(Failure::Parked(parked));
        }
        let mut features = offers(&course.frontend).await?.accept();
        // A device that does not say is trusted (blkif.h).
        let trusted = course.frontend.read::<u8>("trusted").await != Ok(0);
        loop {
            if features.ring_order == 0 {
                // A backend would believe these of a former connection.
                let keys = ["ring-page-order", "num-ring-pages"];
                let withdrawn = course.frontend.withdraw(&keys).await;
                withdrawn.map_err(Failure::Store)?;
            }
            let late = Late::start(&self.pv, &self.identity.name, self.late_answers.clone());
            let (link, keys) = Link::new(
                &self.pv,
                &course.frontend,
                &self.identity,
                features,
                trusted,
                late,
            )?;
            let published = course.frontend.publish(&keys, XenbusState::Initialised);
            match published.await {
                Ok(()) => course.link = Some(link),
                // A large ring has many nodes; with hardly any left, a small one must do.
                Err(StoreError::Quota) if features.ring_order > 0 => {
                    features.ring_order = 0;
                    continue;
                }
                Err(error) => return Err(Failure::Store(error)),
            }
            course.deadline = None;
            return Ok(());
        }
    }

    /// The backend serves the ring: GEOM gets its disk.
    pub(super) async fn go_live(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let medium = medium(&course.frontend).await?;
        let late = late_offers(&course.frontend).await?;
        course
            .frontend
            .set_state(XenbusState::Connected)
            .await
            .map_err(Failure::Store)?;
        if let Some(link) = &mut course.link {
            let features = late.add_to(link.queue.features(), medium.sector_size);
            link.queue.set_features(features);
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
