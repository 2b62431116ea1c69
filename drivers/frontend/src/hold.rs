//! Devices hold still while the domain is suspended.
//!
//! Each drains: what its backend has been given is awaited, and what comes meanwhile waits. So no
//! request is lost with the backend of this life, and none is made twice.

use core::cell::Cell;
use core::future::pending;
use core::pin::pin;

use exec::Notify;
use futures_util::{FutureExt, select_biased};
use hv::Resumed;
use xenbus::{BackendWatch, Frontend, StoreError};

use crate::course::Course;
use crate::device::{Device, FIRST_PAUSE, HANDSHAKE};
use crate::failure::Failure;

/// What the bus and a device's task tell each other of it.
#[derive(Default)]
pub(crate) struct Hold {
    wanted: Cell<bool>,
    asked: Notify,
    /// The task has nothing to do with a backend.
    idle: Cell<bool>,
    held: Cell<bool>,
    holding: Notify,
    resumed: Cell<Option<Resumed>>,
    resumption: Notify,
}

impl Hold {
    /// Asks the device to hold still.
    pub(crate) fn ask(&self) {
        self.wanted.set(true);
        self.asked.notify();
    }

    /// Whether it is to hold still.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.get()
    }

    /// Waits until it is to hold still.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Says whether the task has nothing to do with a backend, and need not be waited for.
    pub(crate) fn set_idle(&self, idle: bool) {
        self.idle.set(idle);
        self.holding.notify();
    }

    /// Waits until the device holds still.
    pub(crate) async fn held(&self) {
        while !self.held.get() && !self.idle.get() {
            self.holding.notified().await;
        }
    }

    /// Lets the device go on.
    pub(crate) fn release(&self, resumed: Resumed) {
        self.wanted.set(false);
        self.resumed.set(Some(resumed));
        self.resumption.notify();
    }

    async fn resumed(&self) -> Resumed {
        loop {
            if let Some(resumed) = self.resumed.take() {
                return resumed;
            }
            self.resumption.notified().await;
        }
    }
}

impl Device {
    /// Opens the device, but not while the domain is about to be suspended: what was read then may
    /// be of a former life. `None` if it is gone.
    pub(crate) async fn opened_in_this_life(&self) -> Option<(Frontend, BackendWatch)> {
        let hold = &self.signals.hold;
        loop {
            hold.resumed.set(None);
            let opened = self.opened().await?;
            if hold.is_wanted() {
                self.resumed_or_removed().await?;
            } else if hold.resumed.take() != Some(Resumed::Anew) {
                hold.set_idle(false);
                return Some(opened);
            }
        }
    }

    /// Waits until the domain runs again; `None` if the device is gone before.
    async fn resumed_or_removed(&self) -> Option<Resumed> {
        let mut resumed = pin!(self.signals.hold.resumed().fuse());
        let mut removed = pin!(self.wait_for_removal().fuse());
        select_biased! {
            resumed = resumed => Some(resumed),
            () = removed => None,
        }
    }

    /// Holds still until the domain runs again.
    ///
    /// # Errors
    /// [`Failure::Anew`] in the domain's next life; the device cannot go on.
    pub(crate) async fn hold(&self, course: &mut Course) -> Result<(), Failure> {
        let hold = &self.signals.hold;
        hold.resumed.set(None);
        course.driver.hold();
        let held = async {
            drain(course).await?;
            hold.held.set(true);
            hold.holding.notify();
            pending::<Result<Resumed, Failure>>().await
        };
        let resumed = {
            let mut held = pin!(held.fuse());
            let mut resumed = pin!(self.resumed_or_removed().fuse());
            select_biased! {
                // Who removes it is not to wait for what else is held.
                resumed = resumed => Ok(resumed.unwrap_or(Resumed::Cancelled)),
                failure = held => failure,
            }
        };
        hold.held.set(false);
        course.driver.go_on();
        match resumed? {
            Resumed::Cancelled => Ok(()),
            Resumed::Anew => Err(Failure::Anew),
        }
    }

    /// Connects in the domain's next life: who uses the device keeps it.
    ///
    /// # Errors
    /// The device is not there any more, or was not as it must be for 20 s.
    pub(crate) async fn begin_anew(&self, course: &mut Course) -> Result<(), Failure> {
        course.lose();
        let until = self.after(HANDSHAKE);
        loop {
            match self.open().await {
                Ok((frontend, watch)) => {
                    course.begin_anew(frontend, watch);
                    return Ok(());
                }
                Err(failure) if failure.is_removal() || failure.is_absence() => {
                    return Err(StoreError::NoEntry.into());
                }
                Err(failure) if failure.is_loss() || self.exec().now() >= until => {
                    return Err(failure);
                }
                Err(_not_now) => self.exec().sleep(FIRST_PAUSE).await,
            }
        }
    }
}

/// Waits until nothing is outstanding.
async fn drain(course: &mut Course) -> Result<(), Failure> {
    course.driver.look()?;
    if course.driver.is_drained() {
        return Ok(());
    }
    course.driver.serve(&course.frontend, true).await
}
