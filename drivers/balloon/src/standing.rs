//! The handle, and what it says.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::Cell;

use hv::Hypervisor;
use pv::Pv;
use xenbus::Store;

use crate::memory::Own;
use crate::task::{Aim, Task};

/// What follows `memory/target`; clones are the same one. The default one follows nothing.
#[derive(Clone, Default)]
pub struct Balloon {
    pub(crate) standing: Rc<Cell<Standing>>,
}

/// What the administrator wants, and what was done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// `memory/target` in KiB, if it was ever a number.
    pub target: Option<u64>,
    /// `memory/static-max` in KiB, if it was a number when the target came.
    pub static_max: Option<u64>,
    /// The most pages that the domain has room to have; 0 if nothing is followed.
    pub room: usize,
    /// Pages given to Xen since the start.
    pub given: u64,
    /// Pages got from Xen since the start.
    pub got: u64,
}

impl Balloon {
    /// Follows the target from now on. To be called once per domain.
    pub fn start<H: Hypervisor>(pv: &Pv<H>, store: &Store) -> Self {
        let balloon = Self::default();
        balloon.note(|standing| standing.room = pv.hv.most_pages());
        let task = Task {
            memory: Box::new(Own::new(&pv.hv)),
            scarcity: pv.scarcity.clone(),
            exec: pv.exec.clone(),
            log: pv.log.clone(),
            store: store.clone(),
            balloon: balloon.clone(),
            aim: Aim::default(),
        };
        pv.exec.spawn("balloon", task.run());
        balloon
    }

    /// How things stand.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.get()
    }

    pub(crate) fn note(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = self.standing.get();
        change(&mut standing);
        self.standing.set(standing);
    }
}
