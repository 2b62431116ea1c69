//! One controller, and what is known of it.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use geom::Geom;
use hv::Hypervisor;
use pv::Pv;

use crate::capabilities::Capabilities;
use crate::door::Door;
use crate::fault::Fault;
use crate::hardware::Hardware;
use crate::identify::list::MOST_NAMESPACES;
use crate::namespaces::Namespace;
use crate::registers::Registers;
use crate::slot::Slot;
use crate::standing::Standing;
use crate::starting::Start;
use crate::units::AllUnits;

/// What all controllers of a domain share.
#[derive(Clone)]
pub(crate) struct Around<H: Hypervisor> {
    pub(crate) pv: Pv<H>,
    pub(crate) geom: Geom,
    pub(crate) units: Rc<AllUnits>,
}

/// One controller, as its task drives it. Nothing of it is borrowed across a wait.
pub(crate) struct Controller<H: Hypervisor> {
    pub(crate) pv: Pv<H>,
    pub(crate) geom: Geom,
    pub(crate) units: Rc<AllUnits>,
    /// `nvme0`.
    pub(crate) name: String,
    pub(crate) slot: Rc<dyn Slot>,
    pub(crate) capabilities: Capabilities,
    pub(crate) core: RefCell<Hardware<H>>,
    pub(crate) door: Rc<Door>,
    pub(crate) namespaces: RefCell<Vec<Namespace>>,
    pub(crate) standing: Rc<RefCell<Standing>>,
    /// No interrupt is waited for.
    pub(crate) polled: Cell<bool>,
    /// Completions were taken since the interrupt came last.
    pub(crate) taken: Cell<bool>,
    /// There until its disks are made.
    pub(crate) start: RefCell<Option<Start>>,
    /// How long it has to shut down.
    pub(crate) shutdown_limit: Cell<Duration>,
}

impl<H: Hypervisor> Controller<H> {
    /// The controller with these registers. Takes all memory that serving it needs.
    pub(crate) fn new(
        around: &Around<H>,
        name: String,
        slot: Rc<dyn Slot>,
        registers: H::Mapping,
        standing: Rc<RefCell<Standing>>,
    ) -> Result<Self, Fault> {
        let (registers, capabilities) = Registers::new(registers)?;
        let core = Hardware::new(&around.pv, &name, registers, &capabilities)?;
        Ok(Self {
            pv: around.pv.clone(),
            geom: around.geom.clone(),
            units: around.units.clone(),
            name,
            polled: Cell::new(!slot.interrupts()),
            slot,
            capabilities,
            core: RefCell::new(core),
            door: Rc::default(),
            namespaces: RefCell::new(Vec::with_capacity(MOST_NAMESPACES)),
            standing,
            taken: Cell::default(),
            start: RefCell::default(),
            shutdown_limit: Cell::default(),
        })
    }

    /// Takes the completions there are and sends what waits. Returns how many there were.
    pub(crate) fn turn(&self) -> Result<usize, Fault> {
        let now = self.pv.exec.now();
        let found = self.core.borrow_mut().turn(&self.door, now)?;
        if found != 0 {
            self.taken.set(true);
        }
        Ok(found)
    }

    /// Whether the controller is to do something.
    pub(crate) fn is_busy(&self) -> bool {
        let core = self.core.borrow();
        core.admin.oldest().is_some() || core.io.outstanding() != 0
    }

    /// Lets the device use memory, or takes that away.
    pub(crate) async fn master(&self, on: bool) -> Result<(), Fault> {
        let done = self.slot.set_master(on).await;
        done.map_err(|_said| Fault::Bus("the bus does not let it use memory"))
    }
}
