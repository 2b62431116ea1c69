//! What the bus, the domain and an export's task tell each other.

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::{Cell, RefCell};

use exec::Notify;
use hv::DomId;
use xenbus::state::XenbusState;

use crate::statistics::Statistics;

/// One export as everybody but its task sees it.
pub(crate) struct Signals {
    pub(crate) frontend: DomId,
    pub(crate) device: u32,
    /// Its nodes are gone.
    pub(crate) removed: Cell<bool>,
    /// The domain wants to end: the frontend is to be told to close.
    pub(crate) closing: Cell<bool>,
    /// One of these two became true.
    pub(crate) changed: Notify,
    /// Nobody is connected, and nobody will be.
    pub(crate) closed: Cell<bool>,
    /// What is exported, as far as it is known.
    pub(crate) provider: RefCell<String>,
    pub(crate) read_only: Cell<bool>,
    pub(crate) state: Cell<XenbusState>,
    pub(crate) statistics: Rc<RefCell<Statistics>>,
}

impl Signals {
    pub(crate) fn new(frontend: DomId, device: u32) -> Self {
        Self {
            frontend,
            device,
            removed: Cell::new(false),
            closing: Cell::new(false),
            changed: Notify::new(),
            closed: Cell::new(false),
            provider: RefCell::default(),
            read_only: Cell::new(false),
            state: Cell::new(XenbusState::Unknown),
            statistics: Rc::default(),
        }
    }

    /// The export's nodes are gone.
    pub(crate) fn remove(&self) {
        self.removed.set(true);
        self.changed.notify();
    }

    /// The domain wants to end.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        self.changed.notify();
    }
}
