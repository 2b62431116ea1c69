//! All vbds of the domain.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::{Notify, error, warn};
use geom::Geom;
use hv::Hypervisor;
use pv::Pv;
use xenbus::{BusEvent, FrontendBus, Release, Store, StoreError};

use crate::device::Device;
use crate::late::Leavings;
use crate::link::Identity;
use crate::signals::Signals;
use crate::unit::Units;
use crate::vdev::Vdev;

/// The pause before a store that did not let the devices be watched is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// The block frontend: one task for the bus and one for each device. A handle; clones speak for the
/// same one.
pub struct Blkfront<H: Hypervisor> {
    inner: Rc<Inner<H>>,
}

impl<H: Hypervisor> Clone for Blkfront<H> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

struct Inner<H: Hypervisor> {
    pv: Pv<H>,
    store: Store,
    geom: Geom,
    units: RefCell<Units>,
    devices: RefCell<BTreeMap<u32, Rc<Signals>>>,
    listed: Cell<bool>,
    listing: Notify,
    leavings: Rc<Leavings<H>>,
    queues: u32,
}

impl<H: Hypervisor> Blkfront<H> {
    /// Starts serving every vbd there is and every one that comes. To be called once per domain.
    pub fn start(pv: &Pv<H>, store: &Store, geom: &Geom) -> Self {
        Self::with_queues(pv, store, geom, 1)
    }

    /// As [`start`](Self::start), with up to `queues` rings a vbd where a backend takes so many.
    /// More than one for each virtual CPU gains nothing.
    pub fn with_queues(pv: &Pv<H>, store: &Store, geom: &Geom, queues: u32) -> Self {
        let inner = Inner {
            pv: pv.clone(),
            store: store.clone(),
            geom: geom.clone(),
            units: RefCell::default(),
            devices: RefCell::default(),
            listed: Cell::new(false),
            listing: Notify::new(),
            leavings: Leavings::new(pv),
            queues,
        };
        let this = Self {
            inner: Rc::new(inner),
        };
        let bus = this.clone();
        pv.exec.spawn("blkfront", async move {
            if let Err(failure) = bus.run().await {
                error!(bus.inner.pv.log, "blkfront", "no more devices: {failure}");
            }
            bus.inner.set_listed();
        });
        this
    }

    /// Waits until every vbd that was there at boot is connected, or known not to be for now. For
    /// one waiting task.
    pub async fn settled(&self) {
        while !self.inner.listed.get() {
            self.inner.listing.notified().await;
        }
        let devices: Vec<_> = self.inner.devices.borrow().values().cloned().collect();
        for device in devices {
            device.settled().await;
        }
    }

    /// Answers that came after their request had been failed. They were dropped.
    #[must_use]
    pub fn late_answers(&self) -> u64 {
        self.inner.leavings.answers()
    }

    async fn run(&self) -> Result<(), StoreError> {
        let mut bus = self.open().await?;
        let release = bus.release();
        match bus.settle().await {
            Ok(mut events) => {
                // Those with a unit of their own first: the others take any that is free.
                events.sort_by_key(|event| !has_own_unit(event));
                for event in events {
                    self.take(event, &release);
                }
            }
            Err(lost @ StoreError::Lost(_)) => return Err(lost),
            // The bus asks again, and says so.
            Err(_not_now) => {}
        }
        self.inner.set_listed();
        loop {
            let event = bus.next().await?;
            self.take(event, &release);
        }
    }

    /// Watches the devices. A store that refuses is asked again until it does not.
    async fn open(&self) -> Result<FrontendBus, StoreError> {
        let Inner { pv, store, .. } = &*self.inner;
        loop {
            match FrontendBus::open(store, "vbd").await {
                Ok(bus) => return Ok(bus),
                Err(lost @ StoreError::Lost(_)) => return Err(lost),
                Err(error) => warn!(pv.log, "blkfront", "the devices are not known: {error}"),
            }
            self.inner.set_listed();
            pv.exec.sleep(AGAIN).await;
        }
    }

    fn take(&self, event: BusEvent, release: &Release) {
        match event {
            BusEvent::Added(number) => self.add(number, release.clone()),
            BusEvent::Removed(number) => {
                if let Some(device) = self.inner.devices.borrow().get(&number) {
                    device.remove();
                }
            }
        }
    }

    fn add(&self, number: u32, release: Release) {
        let inner = &self.inner;
        // The bus announces a device again only when its task has released it, so there is none
        // with this number but one that is leaving.
        let signals = Rc::new(Signals::default());
        inner.devices.borrow_mut().insert(number, signals.clone());
        let unit = inner.units.borrow_mut().take(number);
        let device = Device {
            pv: inner.pv.clone(),
            geom: inner.geom.clone(),
            identity: Identity {
                name: format!("xbd{unit}"),
                unit,
                number,
            },
            signals: signals.clone(),
            leavings: inner.leavings.clone(),
            queues: inner.queues,
        };
        let bus = self.clone();
        inner.pv.exec.spawn("vbd", async move {
            device.run(&bus.inner.store).await;
            // What the bus knows under this number is the newer device, if there is one.
            if bus.inner.forget(number, &signals) {
                release.release(number);
            }
        });
    }
}

impl<H: Hypervisor> Inner<H> {
    fn set_listed(&self) {
        self.listed.set(true);
        self.listing.notify();
    }

    /// Forgets a device, unless another one with the same number is there already; says whether it
    /// did.
    fn forget(&self, number: u32, signals: &Rc<Signals>) -> bool {
        let mut devices = self.devices.borrow_mut();
        let known = devices.get(&number);
        let current = known.is_some_and(|known| Rc::ptr_eq(known, signals));
        if current {
            devices.remove(&number);
            self.units.borrow_mut().release(number);
        }
        current
    }
}

fn has_own_unit(event: &BusEvent) -> bool {
    let (BusEvent::Added(number) | BusEvent::Removed(number)) = event;
    Vdev::from_number(*number).unit().is_some()
}
