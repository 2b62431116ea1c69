//! What the bus and a device's task tell each other.

use core::cell::Cell;

use exec::Notify;

use crate::hold::Hold;

/// What the bus tells a device's task, and the task the bus.
#[derive(Default)]
pub(crate) struct Signals {
    /// The device's nodes are gone.
    pub(crate) removed: Cell<bool>,
    pub(crate) removal: Notify,
    settled: Cell<bool>,
    settling: Notify,
    pub(crate) hold: Hold,
}

impl Signals {
    /// The device's nodes are gone.
    pub(crate) fn remove(&self) {
        self.removed.set(true);
        self.removal.notify();
    }

    /// Lets those go on who wait for the device.
    pub(crate) fn settle(&self) {
        self.settled.set(true);
        self.settling.notify();
    }

    /// Whether the device is connected, or known not to be for now.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.get()
    }

    /// Waits until the device is connected, or known not to be for now.
    pub(crate) async fn settled(&self) {
        while !self.settled.get() {
            self.settling.notified().await;
        }
    }
}
