//! All vifs of the domain.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::{Notify, error, warn};
use hv::Hypervisor;
use pv::Pv;
use xenbus::{BusEvent, FrontendBus, Release, Store, StoreError};

use crate::Event;
use crate::device::Device;
use crate::event::Events;
use crate::late::Leavings;
use crate::signals::Signals;

/// The pause before a store that did not let the devices be watched is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// The network frontend: one task for the bus and one for each device. A handle; clones speak for
/// the same one.
pub struct Netfront<H: Hypervisor> {
    inner: Rc<Inner<H>>,
}

impl<H: Hypervisor> Clone for Netfront<H> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

struct Inner<H: Hypervisor> {
    pv: Pv<H>,
    store: Store,
    devices: RefCell<BTreeMap<u32, Rc<Signals>>>,
    events: Rc<Events<H>>,
    listed: Cell<bool>,
    listing: Notify,
    leavings: Rc<Leavings<H>>,
    queues: u32,
    /// Backends may leave multicast packets away.
    filter: Rc<Cell<bool>>,
}

impl<H: Hypervisor> Netfront<H> {
    /// Starts serving every vif there is and every one that comes. To be called once per domain.
    pub fn start(pv: &Pv<H>, store: &Store) -> Self {
        Self::with_queues(pv, store, 1)
    }

    /// As [`start`](Self::start), with up to `queues` pairs of rings a vif where a backend takes so
    /// many. More than one for each virtual CPU gains nothing.
    pub fn with_queues(pv: &Pv<H>, store: &Store, queues: u32) -> Self {
        let inner = Inner {
            pv: pv.clone(),
            store: store.clone(),
            devices: RefCell::default(),
            events: Rc::new(Events::new()),
            listed: Cell::new(false),
            listing: Notify::new(),
            leavings: Leavings::new(pv),
            queues,
            filter: Rc::default(),
        };
        let this = Self {
            inner: Rc::new(inner),
        };
        let bus = this.clone();
        pv.exec.spawn("netfront", async move {
            if let Err(failure) = bus.run().await {
                error!(bus.inner.pv.log, "netfront", "no more devices: {failure}");
            }
            bus.inner.set_listed();
        });
        this
    }

    /// Waits until every vif that was there at boot is connected, or known not to be for now. For
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

    /// What happens next. For one waiting task.
    pub async fn event(&self) -> Event<H> {
        self.inner.events.next().await
    }

    /// Has backends that can do so send only those multicast packets that links ask for, from the
    /// next connection of each on. For who
    /// [asks for all that it wants](crate::Link::set_multicast): IPv6 does not work without.
    pub fn filter_multicast(&self) {
        self.inner.filter.set(true);
    }

    async fn run(&self) -> Result<(), StoreError> {
        let mut bus = self.open().await?;
        let release = bus.release();
        match bus.settle().await {
            Ok(events) => {
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
            match FrontendBus::open(store, "vif").await {
                Ok(bus) => return Ok(bus),
                Err(lost @ StoreError::Lost(_)) => return Err(lost),
                Err(error) => warn!(pv.log, "netfront", "the devices are not known: {error}"),
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
        let device = Device {
            pv: inner.pv.clone(),
            name: format!("xn{number}"),
            number,
            signals: signals.clone(),
            events: inner.events.clone(),
            leavings: inner.leavings.clone(),
            queues: inner.queues,
            filter: inner.filter.clone(),
        };
        let bus = self.clone();
        inner.pv.exec.spawn("vif", async move {
            device.run(&bus.inner.store).await;
            // What the bus knows under this number is the newer device, if there is one.
            if bus.inner.forget(number, &signals) {
                device.say_removed();
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
        }
        current
    }
}
