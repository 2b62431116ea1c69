//! A driver domain and its toolstack: what tests of the backend's side of xenbus start from. The
//! domains that use its devices need be no more than nodes.

use std::time::Duration;

use hv::DomId;
use xenbus::{BackendBus, BackendEvent, Store};

use crate::{DomainConfig, Guest, Toolstack, Vbd, World, Xenstored};

/// The driver domain.
pub const DRIVER: DomId = DomId(1);
/// Where its exports lie.
pub const EXPORTS: &str = "/local/domain/1/backend/vbd";

/// How long a bus must be silent to have told everything.
const SILENCE: Duration = Duration::from_secs(1);

/// A running machine with one driver domain.
pub struct DriverDomain {
    /// The domain.
    pub guest: Guest,
    /// The toolstack.
    pub toolstack: Toolstack,
    /// Everything.
    pub world: World,
}

impl DriverDomain {
    /// One without exports.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, DRIVER, DomainConfig::default());
        Self {
            guest,
            toolstack,
            world,
        }
    }

    /// The vbd `devid` of domain `guest`, served by the driver domain.
    #[must_use]
    pub fn vbd(guest: u16, devid: u32) -> Vbd {
        Vbd {
            guest: DomId(guest),
            backend: DRIVER,
            devid,
        }
    }

    /// Xenstore, as domain 0 sees it.
    #[must_use]
    pub fn store(&self) -> &Xenstored {
        self.toolstack.store()
    }

    /// Makes both directories of a device, anew if they are there.
    pub fn attach(&self, guest: u16, devid: u32) {
        self.toolstack.create_vbd(&Self::vbd(guest, devid), false);
    }

    /// Takes both directories away at once, and those above the own one that are empty then, as
    /// libxl does.
    pub fn remove(&self, guest: u16, devid: u32) {
        let vbd = Self::vbd(guest, devid);
        let store = self.store();
        store.together(&[(&vbd.frontend_path(), None), (&vbd.backend_path(), None)]);
        for above in [format!("{EXPORTS}/{guest}"), EXPORTS.into()] {
            if store.list(&above).is_empty() {
                store.remove(&above);
            }
        }
    }

    /// The state of a device's frontend, written by hand.
    pub fn set_frontend(&self, guest: u16, devid: u32, state: &str) {
        let path = Self::vbd(guest, devid).frontend_path();
        self.store().write(&format!("{path}/state"), state);
    }

    /// A node of a device's backend.
    #[must_use]
    pub fn own(&self, guest: u16, devid: u32, key: &str) -> Option<String> {
        let path = Self::vbd(guest, devid).backend_path();
        self.store().read(&format!("{path}/{key}"))
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// If a law is broken.
    pub fn run_for(&self, time: Duration) {
        self.world.wake_domain(DRIVER);
        if let Err(stop) = self.world.run_for(time) {
            panic!("{stop}");
        }
    }

    /// Runs what `ask` does with the domain's store until it is done.
    ///
    /// # Panics
    /// If it does not come to an end.
    pub fn ask<T: 'static>(&self, ask: impl AsyncFnOnce(Store) -> T + 'static) -> T {
        let store = self.guest.store.clone();
        let asked = self.guest.run(&self.world, async move { ask(store).await });
        asked.expect("it comes to an end")
    }

    /// The bus of the domain's exports.
    ///
    /// # Panics
    /// If the store does not let it watch.
    #[must_use]
    pub fn bus(&self) -> BackendBus {
        self.ask(async |store| BackendBus::open(&store, "vbd").await)
            .expect("the store lets the bus watch")
    }

    /// What the bus tells until it is silent for a second.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn events(&self, mut bus: BackendBus) -> (BackendBus, Vec<BackendEvent>) {
        self.ask(async move |store| {
            let mut events = Vec::new();
            while let Ok(event) = store.exec().timeout(SILENCE, bus.next()).await {
                events.push(event.expect("the bus goes on"));
            }
            (bus, events)
        })
    }

    /// Lets the bus go on in a task of its own.
    pub fn leave_running(&self, mut bus: BackendBus) {
        self.guest
            .pv
            .exec
            .spawn("bus", async move { while bus.next().await.is_ok() {} });
    }
}
