//! Turning a domain's tasks, and saying what is next.

use alloc::rc::Rc;
use core::cell::Cell;

use hv::{Hypervisor, ShutdownReason};
use pv::Pv;

use crate::alarm::Alarm;

/// What the run loop does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another turn at once: something is ready.
    Turn,
    /// Sleep until an event comes: Xen sends one when the time has come for what waits for a time.
    Sleep,
    /// End the domain.
    End(ShutdownReason),
}

/// A domain's tasks, and whether it is to end.
pub(crate) struct RunLoop<H: Hypervisor> {
    pv: Pv<H>,
    pub(crate) alarm: Rc<Alarm>,
    pub(crate) end: Rc<Cell<Option<ShutdownReason>>>,
}

impl<H: Hypervisor> RunLoop<H> {
    /// No task has run yet.
    pub(crate) fn new(pv: &Pv<H>) -> Self {
        Self {
            pv: pv.clone(),
            alarm: Rc::default(),
            end: Rc::default(),
        }
    }

    /// Runs every task that has something to do, once round.
    pub(crate) fn turn(&self) -> Next {
        self.pv.events.dispatch();
        let more = self.pv.exec.turn(self.pv.hv.now());
        if let Some(reason) = self.end.get() {
            return Next::End(reason);
        }
        if more {
            return Next::Turn;
        }
        if let Some(at) = self.alarm.next(self.pv.exec.next_deadline()) {
            self.pv.hv.set_timer(Some(at));
        }
        Next::Sleep
    }
}
