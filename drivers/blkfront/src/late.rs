//! What the backend may still do when its requests have been failed.

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::Cell;

use exec::{Log, info};
use hv::{DomId, Hypervisor};
use pv::Pv;

use crate::fault::Fault;
use crate::queues::Remnant;

/// The share of the domain's memory that one backend's domain may have parked, over all run loops,
/// while a new connection to it is made: what it keeps is not to be had from others.
const PARKED_SHARE: usize = 8;
/// The share that all of them together may have.
const PARKED_SHARE_OF_ALL: usize = 2;

/// What connections have left, over all devices.
pub(crate) struct Leavings<H: Hypervisor> {
    pv: Pv<H>,
    /// How many run loops share the domain's memory.
    sharers: usize,
    all: Rc<frontend::Leavings>,
    /// Answers that came too late.
    answers: Rc<Cell<u64>>,
}

/// The place for what a connection leaves.
pub(crate) struct Late<H: Hypervisor> {
    place: frontend::Late<Left<H>>,
    listener: Listener,
}

/// What one connection leaves.
struct Left<H: Hypervisor> {
    remnant: Remnant<H>,
    listener: Listener,
}

/// Counts late answers to the device `name`.
struct Listener {
    name: String,
    log: Log,
    answers: Rc<Cell<u64>>,
}

impl<H: Hypervisor> Leavings<H> {
    /// Nothing is left yet, in one of so many run loops.
    pub(crate) fn new(pv: &Pv<H>, sharers: u32) -> Rc<Self> {
        Rc::new(Self {
            pv: pv.clone(),
            sharers: sharers.max(1) as usize,
            all: frontend::Leavings::new(&pv.exec),
            answers: Rc::default(),
        })
    }

    /// Answers that came when their request had been failed.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.get()
    }

    /// Makes a place for what a connection of the device `name` to `peer` will leave.
    pub(crate) fn reserve(&self, peer: DomId, name: &str) -> Late<H> {
        Late {
            place: self.all.reserve(peer, "late answers"),
            listener: Listener {
                name: String::from(name),
                log: self.pv.log.clone(),
                answers: self.answers.clone(),
            },
        }
    }

    /// Lets go of all that backends have let go of, which may be a moment ago, and looks whether
    /// this domain can spare pages for another connection to `backend`.
    ///
    /// # Errors
    /// How many pages are parked, which are too many.
    pub(crate) fn make_room(&self, backend: DomId) -> Result<(), Fault> {
        // What is not parked is the rings of a moment ago.
        let _rings = self.all.sweep(backend);
        let grants = &self.pv.grants;
        // Each run loop counts its own.
        let share = self.pv.hv.memory_use().total / self.sharers;
        grants.sweep();
        let (its, all) = (grants.parked_by(backend), grants.usage().parked);
        if its > share / PARKED_SHARE {
            Err(Fault::Parked(its))
        } else if all > share / PARKED_SHARE_OF_ALL {
            Err(Fault::Parked(all))
        } else {
            Ok(())
        }
    }
}

impl<H: Hypervisor> Late<H> {
    /// Takes the rings of a connection that has ended. Allocates nothing.
    pub(crate) fn leave(self, remnant: Remnant<H>) {
        let Self { place, listener } = self;
        place.leave(Left { remnant, listener });
    }
}

impl Listener {
    fn count(&self, late: u64) {
        if late != 0 {
            self.answers.set(self.answers.get() + late);
            info!(
                self.log,
                &self.name, "{late} answers came too late and were dropped"
            );
        }
    }
}

impl<H: Hypervisor> frontend::Remnant for Left<H> {
    fn is_held(&mut self) -> bool {
        // Asked first: once it is not mapped, no more answers come.
        let mapped = self.remnant.is_mapped();
        self.listener.count(self.remnant.late());
        mapped
    }

    fn shrink(&mut self) {
        self.remnant.shrink();
    }

    fn park(&mut self) {
        self.remnant.park_rings();
    }

    /// Those of the requests are parked from the start, and a ring is small.
    fn pages(&self) -> usize {
        0
    }
}
