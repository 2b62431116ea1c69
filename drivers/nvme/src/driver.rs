//! All controllers of the domain.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use exec::{Log, error};
use geom::Geom;
use hv::Hypervisor;
use pv::Pv;

use crate::controller::{Around, Controller};
use crate::life::Left;
use crate::slot::Slot;
use crate::standing::Standing;
use crate::starting::{Start, Starting};
use crate::units::AllUnits;

/// The most controllers at a time.
const MOST_CONTROLLERS: usize = 16;
/// Controllers that could not be stopped, and what they were given, after which no other one is
/// driven.
const MOST_RUNNING: usize = 4;

/// How long is waited for controllers that are looked at for the first time.
const SETTLING: Duration = Duration::from_secs(15);

/// The NVMe driver. A handle; clones speak for the same one.
pub struct Nvme<H: Hypervisor> {
    inner: Rc<Inner<H>>,
}

struct Inner<H: Hypervisor> {
    around: Around<H>,
    starting: Starting,
    standings: RefCell<Vec<Rc<RefCell<Standing>>>>,
    /// Kept as long as the domain lives: the device may still write there.
    running: RefCell<Vec<Controller<H>>>,
}

impl<H: Hypervisor> Clone for Nvme<H> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<H: Hypervisor> Nvme<H> {
    /// A driver without controllers, whose disks go to `geom`. To be made once per domain.
    #[must_use]
    pub fn new(pv: &Pv<H>, geom: &Geom) -> Self {
        let around = Around {
            pv: pv.clone(),
            geom: geom.clone(),
            units: Rc::new(AllUnits::default()),
        };
        Self {
            inner: Rc::new(Inner {
                around,
                starting: Starting::default(),
                standings: RefCell::new(Vec::with_capacity(MOST_CONTROLLERS)),
                running: RefCell::new(Vec::with_capacity(MOST_RUNNING + MOST_CONTROLLERS)),
            }),
        }
    }

    /// Waits until every controller that was begun with is in use or known not to be for now, for
    /// 15 seconds at most. For one waiting task.
    pub async fn settled(&self) {
        let exec = &self.inner.around.pv.exec;
        // One that takes longer makes its disks later.
        let _late = exec.timeout(SETTLING, self.inner.starting.none()).await;
    }

    /// A controller is begun with.
    pub(crate) fn starting(&self) -> Start {
        self.inner.starting.begin()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.inner.around.pv.log
    }

    /// Drives the controller in `slot`, whose registers are mapped in `registers`, until it is gone
    /// or of no use. Nothing uses `slot` afterwards, unless the controller could not be stopped.
    pub async fn drive(&self, slot: Rc<dyn Slot>, registers: H::Mapping) {
        self.drive_from(self.starting(), slot, registers).await;
    }

    /// As [`drive`](Self::drive), for one that has been begun with.
    pub(crate) async fn drive_from(&self, start: Start, slot: Rc<dyn Slot>, registers: H::Mapping) {
        let inner = &*self.inner;
        let log = self.log();
        let address = slot.address();
        let full = inner.standings.borrow().len() >= MOST_CONTROLLERS;
        if full || inner.running.borrow().len() >= MOST_RUNNING {
            error!(log, "nvme", "{address}: there are too many controllers");
            return;
        }
        let unit = inner.around.units.controllers.borrow_mut().take();
        let name = format!("nvme{unit}");
        let standing = Rc::new(RefCell::new(Standing {
            name: name.clone(),
            address,
            ..Standing::default()
        }));
        inner.standings.borrow_mut().push(standing.clone());
        let made = Controller::new(
            &inner.around,
            name.clone(),
            slot,
            registers,
            standing.clone(),
        );
        match made {
            Ok(controller) => {
                controller.start.replace(Some(start));
                if controller.live().await == Left::Running {
                    inner.running.borrow_mut().push(controller);
                }
            }
            Err(fault) => error!(log, &name, "{fault}"),
        }
        let mut standings = inner.standings.borrow_mut();
        standings.retain(|known| !Rc::ptr_eq(known, &standing));
        inner.around.units.controllers.borrow_mut().release(unit);
    }

    /// The controllers there are.
    #[must_use]
    pub fn controllers(&self) -> Vec<Standing> {
        let standings = self.inner.standings.borrow();
        standings.iter().map(|one| one.borrow().clone()).collect()
    }

    /// Controllers that could not be stopped, and whose memory is not used again.
    #[must_use]
    pub fn running_on(&self) -> usize {
        self.inner.running.borrow().len()
    }
}
