//! What every driver is given.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use exec::{Executor, Log, Trace};
use hv::{Errno, Hypervisor};

use crate::{Events, Grants, Scarcity};

/// The domain as a driver sees it: the hypervisor, what is made of it, and where to run and speak.
///
/// It is a handle; clones speak for the same run loop of the domain.
pub struct Pv<H: Hypervisor> {
    /// The hypervisor itself.
    pub hv: H,
    /// Pages that peers may map.
    pub grants: Grants<H>,
    /// Event channels.
    pub events: Events<H>,
    /// Tasks and time.
    pub exec: Executor,
    /// The log.
    pub log: Log,
    /// The trace ring.
    pub trace: Arc<Trace>,
    /// Whether memory is wanted that is not free.
    pub scarcity: Scarcity,
}

impl<H: Hypervisor> Clone for Pv<H> {
    fn clone(&self) -> Self {
        Self {
            hv: self.hv.clone(),
            grants: self.grants.clone(),
            events: self.events.clone(),
            exec: self.exec.clone(),
            log: self.log.clone(),
            trace: self.trace.clone(),
            scarcity: self.scarcity.clone(),
        }
    }
}

impl<H: Hypervisor> Pv<H> {
    /// The domain lives anew, by [`Hypervisor::suspend`]: ports and grants are as at its start.
    /// Returns the ports that could not be got again, by their labels.
    pub fn begin_anew(&self) -> Vec<(String, Errno)> {
        self.grants.begin_anew();
        self.events.begin_anew()
    }

    /// What the drivers of another run loop of the domain are given. Trace and scarcity are the
    /// same ones; everything else is its own.
    #[must_use]
    pub fn beside(&self) -> Self {
        let exec = Executor::new();
        let (hv, clock) = (self.hv.clone(), self.hv.clone());
        Self {
            grants: Grants::new(hv.clone()),
            events: Events::beside(hv.clone(), exec.clone()),
            log: Log::new(move || clock.now()),
            trace: self.trace.clone(),
            scarcity: self.scarcity.clone(),
            exec,
            hv,
        }
    }

    /// Takes charge of the domain that `hv` speaks for. To be called once per domain: it masks
    /// every port.
    pub fn new(hv: H) -> Self {
        let exec = Executor::new();
        let clock = hv.clone();
        Self {
            grants: Grants::new(hv.clone()),
            events: Events::new(hv.clone(), exec.clone()),
            log: Log::new(move || clock.now()),
            trace: Arc::new(Trace::new()),
            scarcity: Scarcity::default(),
            exec,
            hv,
        }
    }
}
