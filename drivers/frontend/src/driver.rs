//! What one kind of device has of its own.

use alloc::boxed::Box;
use alloc::string::String;
use core::future::{Future, pending, ready};
use core::pin::{Pin, pin};

use futures_util::{FutureExt, select_biased};
use xenbus::Frontend;
use xenbus::state::XenbusState;

use crate::failure::Failure;

/// Something under way, for as long as it borrows its driver. Made once for each wait on the store,
/// not for each event.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What came of publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The backend knows where the rings are.
    Rings,
    /// Not now, and the driver has said why. It is tried again after a while.
    PutOff,
}

/// One device's driver: what is published, what a connection is good for, and how it ends.
///
/// At most one connection is there at a time. It is there from [`publish`](Self::publish) that
/// succeeded to [`leave`](Self::leave), and live from [`go_live`](Self::go_live) that succeeded.
pub trait Driver {
    /// Reads what the backend offers, tells it where the rings are, and goes to the state that says
    /// so: Initialised or Connected. Without success there is no connection.
    fn publish<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<Published, Failure>>;

    /// The backend serves the rings: goes to Connected, and gives whoever uses the device what it
    /// uses.
    fn go_live<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<(), Failure>>;

    /// The backend says once more that it is connected: what may change in use is read again.
    /// [Serves](beside) meanwhile.
    fn reread<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<(), Failure>>;

    /// The backend is Reconfiguring or Reconfigured: what it serves changes in parts, with the
    /// connection as it is. [Serves](beside) meanwhile.
    fn reconfigure<'a>(
        &'a mut self,
        _frontend: &'a Frontend,
        _backend: XenbusState,
    ) -> Doing<'a, Result<(), Failure>> {
        Box::pin(ready(Ok(())))
    }

    /// Does what there is to do now; a first look before [`serve`](Self::serve).
    ///
    /// # Errors
    /// The device cannot go on.
    fn look(&mut self) -> Result<(), Failure>;

    /// Does what there is to do, whenever there is, until the device cannot go on or, if
    /// `draining`, nothing is [outstanding](Self::is_drained). It may be dropped at any moment, and
    /// nothing is lost by that. Without a connection it never ends.
    fn serve<'a>(
        &'a mut self,
        frontend: &'a Frontend,
        draining: bool,
    ) -> Doing<'a, Result<(), Failure>>;

    /// Whether a live connection is of use without the store.
    fn is_open(&self) -> bool;

    /// Takes no new work: the connection ends when what is outstanding is done.
    fn refuse(&mut self);

    /// Whether nothing is outstanding that is worth waiting for.
    fn is_drained(&self) -> bool;

    /// Gives the backend no new work until [`go_on`](Self::go_on): what comes waits. For a driver
    /// whose work may not be lost with the backend.
    fn hold(&mut self) {}

    /// Gives the backend what has waited.
    fn go_on(&mut self) {}

    /// The domain lives anew: lets go of the connection, which nobody is at the other end of any
    /// more. Who uses the device keeps it, if a new connection can take the place of this one; it
    /// is [left](Self::leave) if none does.
    fn lose(&mut self) {
        self.leave();
    }

    /// Fails what is outstanding and lets go of the connection, if there is one; what the backend
    /// still has is kept as [`Leavings`](crate::Leavings). Allocates nothing.
    fn leave(&mut self);

    /// Notes both ends' states in the trace ring.
    fn trace(&self, own: u64, backend: u64);
}

/// Makes the drivers of one kind of device.
pub trait Drivers {
    /// Whether the device is made before others that are there at boot.
    fn is_early(&self, _number: u32) -> bool {
        false
    }

    /// Whether the device is driven here, not by another run loop of the domain.
    fn is_ours(&self, _number: u32) -> bool {
        true
    }

    /// The driver for device `number`, and what the device is called: `xbd0`.
    fn make(&self, number: u32) -> (String, Box<dyn Driver>);

    /// The device is gone, and was not made anew yet.
    fn gone(&self, number: u32, name: &str);
}

/// Waits for what the store says, and serves the device meanwhile: one in use does not depend on
/// how fast xenstored is.
///
/// # Errors
/// The device cannot go on.
pub async fn beside<T>(
    driver: &mut dyn Driver,
    frontend: &Frontend,
    said: impl Future<Output = T>,
) -> Result<T, Failure> {
    driver.look()?;
    let mut said = pin!(said.fuse());
    let mut failed = pin!(failed(driver, frontend).fuse());
    select_biased! {
        said = said => Ok(said),
        failure = failed => Err(failure),
    }
}

/// Serves the device until it cannot go on.
pub(crate) async fn failed(driver: &mut dyn Driver, frontend: &Frontend) -> Failure {
    match driver.serve(frontend, false).await {
        Err(failure) => failure,
        Ok(()) => pending().await,
    }
}
