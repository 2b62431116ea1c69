//! All vbds of the domain.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;

use frontend::{Bus, Driver, Drivers, Kind};
use geom::Geom;
use hv::Hypervisor;
use pv::Pv;
use xenbus::Store;

use crate::device::Device;
use crate::late::Leavings;
use crate::link::Identity;
use crate::unit::{Share, Units};
use crate::vdev::Vdev;

const KIND: Kind = Kind {
    node: "vbd",
    part: "blkfront",
    what: "the disk",
    cannot: "taken away or resized",
};

/// The block frontend: one task for the bus and one for each device. A handle; clones speak for the
/// same one.
pub struct Blkfront<H: Hypervisor> {
    bus: Bus,
    leavings: Rc<Leavings<H>>,
}

impl<H: Hypervisor> Clone for Blkfront<H> {
    fn clone(&self) -> Self {
        Self {
            bus: self.bus.clone(),
            leavings: self.leavings.clone(),
        }
    }
}

/// What the devices are made of.
struct Vbds<H: Hypervisor> {
    pv: Pv<H>,
    geom: Geom,
    units: RefCell<Units>,
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
        Self::begin(pv, store, geom, queues, Share::default())
    }

    /// As [`start`](Self::start), for those disks alone that are in `share`: other run loops of the
    /// domain have the others.
    pub fn start_share(pv: &Pv<H>, store: &Store, geom: &Geom, share: Share) -> Self {
        Self::begin(pv, store, geom, 1, share)
    }

    fn begin(pv: &Pv<H>, store: &Store, geom: &Geom, queues: u32, share: Share) -> Self {
        let leavings = Leavings::new(pv, share.of);
        let vbds = Vbds {
            pv: pv.clone(),
            geom: geom.clone(),
            units: RefCell::new(Units::of(share)),
            leavings: leavings.clone(),
            queues,
        };
        Self {
            bus: Bus::start(store, KIND, vbds),
            leavings,
        }
    }

    /// Waits until every vbd that was there at boot is connected, or known not to be for now. For
    /// one waiting task.
    pub async fn settled(&self) {
        self.bus.settled().await;
    }

    /// The frontend's bus, which lets all vbds hold still.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Answers that came after their request had been failed. They were dropped.
    #[must_use]
    pub fn late_answers(&self) -> u64 {
        self.leavings.answers()
    }
}

impl<H: Hypervisor> Drivers for Vbds<H> {
    /// Those with a unit of their own first: the others take any that is free.
    fn is_early(&self, number: u32) -> bool {
        Vdev::from_number(number).unit().is_some()
    }

    fn is_ours(&self, number: u32) -> bool {
        self.units.borrow().has(number)
    }

    fn make(&self, number: u32) -> (String, Box<dyn Driver>) {
        let unit = self.units.borrow_mut().take(number);
        let name = format!("xbd{unit}");
        let device = Device {
            pv: self.pv.clone(),
            geom: self.geom.clone(),
            identity: Identity {
                name: name.clone(),
                unit,
                number,
            },
            leavings: self.leavings.clone(),
            queues: self.queues,
            link: None,
            kept: None,
        };
        (name, Box::new(device))
    }

    fn gone(&self, number: u32, _name: &str) {
        self.units.borrow_mut().release(number);
    }
}
