//! An export that is open: once, for all its clients.

use core::future::poll_fn;
use core::task::{Context, Poll};

use geom::Device;

use crate::waiters::Waiters;

/// What the clients of an export have together. Nothing is kept between them and the device: what
/// one has written, all read, and a flush is about the writes of all. It is closed when the last of
/// them lets go of it.
pub(crate) struct Open {
    pub(crate) device: Device,
    /// It is open for writing.
    pub(crate) writable: bool,
    waiters: Waiters,
}

impl Open {
    pub(crate) fn new(device: Device, writable: bool) -> Self {
        Self {
            device,
            writable,
            waiters: Waiters::default(),
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.device.error().is_some()
    }

    /// Ends when the provider is lost, for each client: it cannot be freed before all have let it
    /// go.
    pub(crate) async fn lost(&self) {
        let _leaving = Leaving(&self.waiters);
        poll_fn(|context| self.poll_lost(context)).await;
    }

    /// The device wakes only the last that has asked; that one wakes the others.
    fn poll_lost(&self, context: &mut Context<'_>) -> Poll<()> {
        while !self.is_lost() {
            if self.device.poll_changed(context).is_pending() {
                self.waiters.wait(context.waker());
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

/// A client that waits no more: if it was the one that the device wakes, another has to be.
struct Leaving<'open>(&'open Waiters);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.wake();
    }
}
