//! All of the domain's functions.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use frontend::{Bus, Driver, Drivers, Kind};
use hv::Hypervisor;
use pv::Pv;
use xenbus::Store;

use crate::device::Device;
use crate::driver::FunctionDriver;
use crate::fleet::Fleet;
use crate::{Address, Id, Way};

const KIND: Kind = Kind {
    node: "pci",
    part: "pcifront",
    what: "the bus",
    cannot: "changed",
};

/// The PCI frontend. A handle; clones speak for the same one.
pub struct Pcifront<H: Hypervisor> {
    bus: Bus,
    fleet: Rc<Fleet<H>>,
}

impl<H: Hypervisor> Clone for Pcifront<H> {
    fn clone(&self) -> Self {
        Self {
            bus: self.bus.clone(),
            fleet: self.fleet.clone(),
        }
    }
}

/// A function as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where it is.
    pub address: Address,
    /// What it is.
    pub id: Id,
    /// Who drives it now.
    pub driver: Option<&'static str>,
    /// How it raises interrupts.
    pub way: Option<Way>,
}

struct Buses<H: Hypervisor> {
    pv: Pv<H>,
    fleet: Rc<Fleet<H>>,
}

impl<H: Hypervisor> Pcifront<H> {
    /// Starts serving the functions that there are and those that come; each is given to the first
    /// of `drivers` that takes it, or left alone. To be called once per domain.
    pub fn start(pv: &Pv<H>, store: &Store, drivers: Vec<Box<dyn FunctionDriver<H>>>) -> Self {
        let fleet = Fleet::new(pv, drivers);
        let buses = Buses {
            pv: pv.clone(),
            fleet: fleet.clone(),
        };
        Self {
            bus: Bus::start(store, KIND, buses),
            fleet,
        }
    }

    /// Waits until the functions that were there at boot are known, and their drivers started. For
    /// one waiting task.
    pub async fn settled(&self) {
        self.bus.settled().await;
    }

    /// The functions that there are.
    #[must_use]
    pub fn functions(&self) -> Vec<Seen> {
        self.fleet.seen()
    }
}

impl<H: Hypervisor> Drivers for Buses<H> {
    fn make(&self, number: u32) -> (String, Box<dyn Driver>) {
        let name = format!("pci{number}");
        let device = Device {
            pv: self.pv.clone(),
            name: name.clone(),
            fleet: self.fleet.clone(),
            connection: None,
        };
        (name, Box::new(device))
    }

    fn gone(&self, _number: u32, _name: &str) {}
}
