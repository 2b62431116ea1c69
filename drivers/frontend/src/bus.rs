//! All devices of one kind.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::{Notify, error, warn};
use hv::Resumed;
use xenbus::{BusEvent, FrontendBus, Release, Store, StoreError};

use crate::device::Device;
use crate::driver::Drivers;
use crate::signals::Signals;

/// The pause before a store that did not let the devices be watched is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// What a kind of device is called.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Where its devices lie, and what their tasks are called: `vbd`.
    pub node: &'static str,
    /// Its frontend: `blkfront`.
    pub part: &'static str,
    /// What a store that is silent or lost leaves in use: `the disk`.
    pub what: &'static str,
    /// What is not to be had without the store: `taken away or resized`.
    pub cannot: &'static str,
}

/// A frontend: one task for the bus and one for each device. A handle; clones speak for the same
/// one.
#[derive(Clone)]
pub struct Bus(Rc<Inner>);

struct Inner {
    store: Store,
    kind: Kind,
    drivers: Box<dyn Drivers>,
    devices: RefCell<BTreeMap<u32, Rc<Signals>>>,
    /// Devices are to hold still.
    holding: Cell<bool>,
    listed: Cell<bool>,
    listing: Notify,
}

impl Bus {
    /// Starts serving every device of `kind` that there is and every one that comes. To be called
    /// once per domain and kind.
    pub fn start(store: &Store, kind: Kind, drivers: impl Drivers + 'static) -> Self {
        let this = Self(Rc::new(Inner {
            store: store.clone(),
            kind,
            drivers: Box::new(drivers),
            devices: RefCell::default(),
            holding: Cell::new(false),
            listed: Cell::new(false),
            listing: Notify::new(),
        }));
        let bus = this.clone();
        store.exec().spawn(kind.part, async move {
            if let Err(failure) = bus.run().await {
                error!(bus.0.store.log(), kind.part, "no more devices: {failure}");
            }
            bus.0.set_listed();
        });
        this
    }

    /// Waits until every device that was there at boot is connected, or known not to be for now.
    /// For one waiting task.
    pub async fn settled(&self) {
        while !self.0.listed.get() {
            self.0.listing.notified().await;
        }
        let devices: Vec<_> = self.0.devices.borrow().values().cloned().collect();
        for device in devices {
            device.settled().await;
        }
    }

    /// Waits until no device has anything under way with its backend. From now on each holds still
    /// until [`release`](Self::release): who uses one waits.
    pub async fn hold(&self) {
        self.0.holding.set(true);
        let devices: Vec<_> = self.0.devices.borrow().values().cloned().collect();
        devices.iter().for_each(|device| device.hold.ask());
        for device in devices {
            device.hold.held().await;
        }
    }

    /// Lets the devices go on. In another life of the domain each connects anew, and who uses it
    /// keeps it.
    pub fn release(&self, resumed: Resumed) {
        self.0.holding.set(false);
        for device in self.0.devices.borrow().values() {
            device.hold.release(resumed);
        }
    }

    async fn run(&self) -> Result<(), StoreError> {
        let mut bus = self.open().await?;
        let release = bus.release();
        match bus.settle().await {
            Ok(mut events) => {
                events.sort_by_key(|event| !self.is_early(event));
                for event in events {
                    self.take(event, &release);
                }
            }
            Err(lost @ StoreError::Lost(_)) => return Err(lost),
            // The bus asks again, and says so.
            Err(_not_now) => {}
        }
        self.0.set_listed();
        loop {
            let event = bus.next().await?;
            self.take(event, &release);
        }
    }

    /// Watches the devices. A store that refuses is asked again until it does not.
    async fn open(&self) -> Result<FrontendBus, StoreError> {
        let Inner { store, kind, .. } = &*self.0;
        loop {
            match FrontendBus::open(store, kind.node).await {
                Ok(bus) => return Ok(bus),
                Err(lost @ StoreError::Lost(_)) => return Err(lost),
                Err(error) => warn!(store.log(), kind.part, "the devices are not known: {error}"),
            }
            self.0.set_listed();
            store.exec().sleep(AGAIN).await;
        }
    }

    fn is_early(&self, event: &BusEvent) -> bool {
        let (BusEvent::Added(number) | BusEvent::Removed(number)) = event;
        self.0.drivers.is_early(*number)
    }

    fn take(&self, event: BusEvent, release: &Release) {
        match event {
            BusEvent::Added(number) if self.0.drivers.is_ours(number) => {
                self.add(number, release.clone());
            }
            BusEvent::Added(_anothers) => {}
            BusEvent::Removed(number) => {
                if let Some(device) = self.0.devices.borrow().get(&number) {
                    device.remove();
                }
            }
        }
    }

    fn add(&self, number: u32, release: Release) {
        let inner = &self.0;
        // The bus announces a device again only when its task has released it, so there is none
        // with this number but one that is leaving.
        let signals = Rc::new(Signals::default());
        signals.hold.set_idle(true);
        if inner.holding.get() {
            signals.hold.ask();
        }
        inner.devices.borrow_mut().insert(number, signals.clone());
        let (name, driver) = inner.drivers.make(number);
        let device = Device {
            store: inner.store.clone(),
            kind: inner.kind,
            number,
            name,
            signals,
        };
        let bus = self.clone();
        inner.store.exec().spawn(inner.kind.node, async move {
            device.run(driver).await;
            // What the bus knows under this number is the newer device, if there is one.
            if bus.0.forget(&device) {
                release.release(number);
            }
        });
    }
}

impl Inner {
    fn set_listed(&self) {
        self.listed.set(true);
        self.listing.notify();
    }

    /// Forgets a device, unless another one with the same number is there already; says whether it
    /// did.
    fn forget(&self, device: &Device) -> bool {
        let mut devices = self.devices.borrow_mut();
        let known = devices.get(&device.number);
        let current = known.is_some_and(|known| Rc::ptr_eq(known, &device.signals));
        if current {
            devices.remove(&device.number);
            drop(devices);
            self.drivers.gone(device.number, &device.name);
        }
        current
    }
}
