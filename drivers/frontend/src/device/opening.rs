//! The first look at a device's nodes, and the last word written to them.

use alloc::format;
use alloc::string::ToString;
use core::pin::pin;

use futures_util::{FutureExt, select_biased};
use xenbus::state::XenbusState;
use xenbus::{BackendWatch, Frontend, StoreError};

use super::{Device, FIRST_PAUSE, LONGEST_PAUSE};
use crate::failure::Failure;

impl Device {
    /// Opens the device. One that is not as it must be is reported, and looked at again when its
    /// nodes change: one that is made anew at once is not announced again. `None` if it is gone.
    pub(crate) async fn opened(&self) -> Option<(Frontend, BackendWatch)> {
        let failure = match self.open().await {
            Ok(opened) => return Some(opened),
            Err(failure) if failure.is_removal() => return None,
            Err(failure) => failure,
        };
        let path = format!("device/{}/{}", self.kind.node, self.number);
        xenbus::key::report(&self.store, &path, &self.name, &failure.to_string()).await;
        self.signals.settle();
        let mut removal = pin!(self.wait_for_removal().fuse());
        let Ok(watch) = self.store.watch(&path).await else {
            removal.await;
            return None;
        };
        loop {
            let mut changed = pin!(watch.changed().fuse());
            select_biased! {
                () = removal => return None,
                watched = changed => watched.ok()?,
            }
            match self.open().await {
                Ok(opened) => return Some(opened),
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
                Err(_not_now) => self.exec().sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(crate) async fn open(&self) -> Result<(Frontend, BackendWatch), Failure> {
        let frontend = Frontend::open(&self.store, self.kind.node, self.number).await?;
        let watch = frontend.watch_backend().await?;
        Ok((frontend, watch))
    }
}
