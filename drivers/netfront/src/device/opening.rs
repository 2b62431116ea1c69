//! The first look at a device's nodes, and the last word written to them.

use alloc::format;
use alloc::string::ToString;
use core::pin::pin;
use core::time::Duration;

use futures_util::{FutureExt, select_biased};
use hv::Hypervisor;
use xenbus::state::XenbusState;
use xenbus::{Frontend, StoreError};

use super::{Course, Device, FIRST_PAUSE, LONGEST_PAUSE};
use crate::failure::Failure;

impl<H: Hypervisor> Device<H> {
    /// Opens the device. One that is not as it must be is reported, and looked at again when its
    /// nodes change: one that is made anew at once is not announced again. `None` if it is gone.
    pub(super) async fn opened(&self, store: &xenbus::Store) -> Option<Course<H>> {
        let failure = match self.open(store).await {
            Ok(course) => return Some(course),
            Err(failure) if failure.is_removal() => return None,
            Err(failure) => failure,
        };
        let (name, number) = (&self.name, self.number);
        let path = format!("device/vif/{number}");
        xenbus::key::report(store, &path, name, &failure.to_string()).await;
        self.signals.settle();
        let mut removal = pin!(self.wait_for_removal().fuse());
        let Ok(watch) = store.watch(&path).await else {
            removal.await;
            return None;
        };
        loop {
            let mut changed = pin!(watch.changed().fuse());
            select_biased! {
                () = removal => return None,
                watched = changed => watched.ok()?,
            }
            match self.open(store).await {
                Ok(course) => return Some(course),
                Err(failure) if failure.is_removal() => return None,
                Err(_still) => {}
            }
        }
    }

    /// Says that this end is closed until the store has heard it, since a toolstack that detaches
    /// the device later waits for that. Nodes that are gone, or another device's, are left alone.
    pub(super) async fn say_closed(&self, frontend: &Frontend) {
        let mut pause = FIRST_PAUSE;
        while !self.signals.removed.get() {
            match frontend.set_state(XenbusState::Closed).await {
                Ok(()) | Err(StoreError::NoEntry | StoreError::Replaced | StoreError::Lost(_)) => {
                    return;
                }
                Err(_not_now) => self.pv.exec.sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) async fn wait_for_removal(&self) {
        while !self.signals.removed.get() {
            self.signals.removal.notified().await;
        }
    }

    async fn open(&self, store: &xenbus::Store) -> Result<Course<H>, Failure> {
        let frontend = Frontend::open(store, "vif", self.number)
            .await
            .map_err(Failure::Key)?;
        let watch = frontend.watch_backend().await.map_err(Failure::Store)?;
        Ok(Course {
            frontend,
            watch,
            connection: None,
            live: false,
            carrier: None,
            backend: None,
            deadline: None,
            connected_at: None,
            pause: Duration::ZERO,
            failed: false,
            complained: false,
        })
    }
}
