//! Nothing is asked of the daemon while the domain is suspended.
//!
//! The ring is saved with the domain, and the daemon of its next life reads it from where the last
//! one stopped: half a message would be the beginning of another.

use core::cell::Cell;

use exec::Notify;
use hv::Resumed;

/// Whether the store is held, and whether it is quiet.
#[derive(Default)]
pub(crate) struct Hold {
    held: Cell<bool>,
    quiet: Cell<bool>,
    anew: Cell<bool>,
    change: Notify,
}

impl Hold {
    pub(crate) fn begin(&self) {
        self.quiet.set(false);
        self.held.set(true);
    }

    pub(crate) fn end(&self, resumed: Resumed) {
        self.held.set(false);
        self.anew.set(resumed == Resumed::Anew);
    }

    /// Whether nothing new may be asked.
    pub(crate) fn is_held(&self) -> bool {
        self.held.get()
    }

    /// Notes whether anything is on its way.
    pub(crate) fn note(&self, quiet: bool) {
        if self.held.get() && self.quiet.replace(quiet) != quiet {
            self.change.notify();
        }
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.get()
    }

    /// Whether the daemon is another one, which is heard of once.
    pub(crate) fn take_anew(&self) -> bool {
        self.anew.take()
    }

    /// Waits until it may be quiet, or the store is lost.
    pub(crate) async fn changed(&self) {
        self.change.notified().await;
    }

    /// The store is lost: who waits is to look.
    pub(crate) fn lose(&self) {
        self.change.notify();
    }
}
