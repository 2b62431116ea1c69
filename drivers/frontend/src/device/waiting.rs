//! Waiting for the backend, with the device served meanwhile.

use core::future::pending;
use core::pin::pin;

use exec::Level;
use futures_util::{FutureExt, select_biased};
use hv::Instant;
use xenbus::state::XenbusState;

use super::{Device, HANDSHAKE, RESET, Seen};
use crate::course::Course;
use crate::driver::Doing;
use crate::failure::Failure;

impl Device {
    /// Waits for the backend.
    pub(super) async fn wait(&self, course: &mut Course) -> Result<(), Failure> {
        let own = course.frontend.state();
        if own == XenbusState::Closed && course.backend == Some(XenbusState::Closed) {
            self.signals.settle();
        }
        let limit = match own {
            XenbusState::Closing => Some(RESET),
            XenbusState::Initialising | XenbusState::Initialised => Some(HANDSHAKE),
            XenbusState::Connected if !course.is_live() => Some(HANDSHAKE),
            // As found at boot: the backend may still be on its way to a new start.
            XenbusState::Closed if !self.signals.is_settled() => Some(HANDSHAKE),
            _ => None,
        };
        match limit {
            Some(limit) if !(course.complained && limit == HANDSHAKE) => {
                course.deadline.get_or_insert(self.after(limit));
            }
            Some(_) => {}
            None => course.deadline = None,
        }
        match self.seen(course, false).await? {
            Seen::Backend(state) => course.backend = state,
            Seen::Deadline if own == XenbusState::Closing => self.close(course).await?,
            Seen::Deadline => {
                let state = course.backend.unwrap_or(XenbusState::Unknown);
                let text = format_args!("the backend does not connect: it is {state}");
                self.log().limited(Level::Warn, &self.name, text);
                course.deadline = None;
                course.complained = true;
                if course.lost {
                    course.leave();
                }
                self.signals.settle();
            }
            Seen::Removed | Seen::Drained => {}
        }
        Ok(())
    }

    /// Serves the device until the backend's state may have changed, it is removed, the deadline
    /// comes, or (if `draining`) nothing is outstanding.
    pub(super) async fn seen(&self, course: &mut Course, draining: bool) -> Result<Seen, Failure> {
        if !self.signals.hold.is_wanted()
            && let Some(seen) = self.look(course, draining).await?
        {
            return Ok(seen);
        }
        if self.signals.hold.is_wanted() {
            self.hold(course).await?;
        }
        // Read anew: the wait that ended so may have swallowed a change.
        let state = course.frontend.backend_state().await;
        state.map(Seen::Backend).map_err(Failure::Store)
    }

    /// The same, or until the device is to hold still.
    async fn look(&self, course: &mut Course, draining: bool) -> Result<Option<Seen>, Failure> {
        if self.signals.removed.get() {
            return Ok(Some(Seen::Removed));
        }
        let Course {
            driver, frontend, ..
        } = course;
        driver.look()?;
        if draining && driver.is_drained() {
            return Ok(Some(Seen::Drained));
        }
        let mut backend = pin!(course.watch.next().fuse());
        let mut sleep = pin!(self.sleep_until(course.deadline).fuse());
        let mut removal = pin!(self.signals.removal.notified().fuse());
        let mut hold = pin!(self.signals.hold.asked().fuse());
        let served = driver.serve(frontend, draining);
        let mut served = pin!(done(served, draining).fuse());
        select_biased! {
            () = removal => Ok(Some(Seen::Removed)),
            state = backend => state.map(Seen::Backend).map(Some).map_err(Failure::Store),
            served = served => served.map(|()| Some(Seen::Drained)),
            () = sleep => Ok(Some(Seen::Deadline)),
            () = hold => Ok(None),
        }
    }

    async fn sleep_until(&self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => self.exec().sleep_until(deadline).await,
            None => pending().await,
        }
    }

    pub(crate) async fn wait_for_removal(&self) {
        while !self.signals.removed.get() {
            self.signals.removal.notified().await;
        }
    }
}

/// What came of serving. It has no end but a failure, unless the device is being drained.
async fn done(served: Doing<'_, Result<(), Failure>>, draining: bool) -> Result<(), Failure> {
    match served.await {
        Ok(()) if !draining => pending().await,
        end => end,
    }
}
