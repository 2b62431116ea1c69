//! All vifs of the domain.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::Cell;

use frontend::{Bus, Driver, Drivers, Kind, Leavings};
use hv::Hypervisor;
use pv::Pv;
use xenbus::Store;

use crate::Event;
use crate::carrier::Carrier;
use crate::device::Device;
use crate::event::Events;

const KIND: Kind = Kind {
    node: "vif",
    part: "netfront",
    what: "the link",
    cannot: "taken away",
};

/// The network frontend: one task for the bus and one for each device. A handle; clones speak for
/// the same one.
pub struct Netfront<H: Hypervisor> {
    bus: Bus,
    events: Rc<Events<H>>,
    /// Backends may leave multicast packets away.
    filter: Rc<Cell<bool>>,
}

impl<H: Hypervisor> Clone for Netfront<H> {
    fn clone(&self) -> Self {
        Self {
            bus: self.bus.clone(),
            events: self.events.clone(),
            filter: self.filter.clone(),
        }
    }
}

/// What the devices are made of.
struct Vifs<H: Hypervisor> {
    pv: Pv<H>,
    events: Rc<Events<H>>,
    leavings: Rc<Leavings>,
    queues: u32,
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
        let (events, filter) = (Rc::new(Events::new()), Rc::default());
        let vifs = Vifs {
            pv: pv.clone(),
            events: Rc::clone(&events),
            leavings: Leavings::new(&pv.exec),
            queues,
            filter: Rc::clone(&filter),
        };
        Self {
            bus: Bus::start(store, KIND, vifs),
            events,
            filter,
        }
    }

    /// Waits until every vif that was there at boot is connected, or known not to be for now. For
    /// one waiting task.
    pub async fn settled(&self) {
        self.bus.settled().await;
    }

    /// The frontend's bus, which lets all vifs hold still.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// What happens next. For one waiting task.
    pub async fn event(&self) -> Event<H> {
        self.events.next().await
    }

    /// Has backends that can do so send only those multicast packets that links ask for, from the
    /// next connection of each on. For who
    /// [asks for all that it wants](crate::Link::set_multicast): IPv6 does not work without.
    pub fn filter_multicast(&self) {
        self.filter.set(true);
    }
}

impl<H: Hypervisor> Drivers for Vifs<H> {
    fn make(&self, number: u32) -> (String, Box<dyn Driver>) {
        let name = format!("xn{number}");
        let device = Device {
            pv: self.pv.clone(),
            name: name.clone(),
            number,
            events: self.events.clone(),
            leavings: self.leavings.clone(),
            queues: self.queues,
            filter: self.filter.clone(),
            connection: None,
            carrier: Carrier::default(),
        };
        (name, Box::new(device))
    }

    /// Tells that the toolstack has taken the device away.
    fn gone(&self, _number: u32, name: &str) {
        self.events.push(Event::Removed(String::from(name)));
    }
}
