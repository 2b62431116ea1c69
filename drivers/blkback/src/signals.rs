//! What the bus, the domain and an export's task tell each other.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::{Cell, RefCell};

use exec::Notify;
use hv::{DomId, Hypervisor};
use xenbus::state::XenbusState;

use crate::link::Link;
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
    /// Answers whatever the frontend asked for with an error; says whether there was anything.
    last_words: RefCell<Option<Box<dyn Fn() -> bool>>>,
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
            last_words: RefCell::default(),
        }
    }

    /// The export's nodes are gone.
    pub(crate) fn remove(&self) {
        self.removed.set(true);
        self.changed.notify();
    }

    /// Remembers the connection whose requests are to be answered when the domain dies.
    pub(crate) fn set_last_words<H: Hypervisor>(&self, link: &Rc<RefCell<Link<H>>>) {
        let link = Rc::downgrade(link);
        self.last_words.replace(Some(Box::new(move || {
            let Some(link) = link.upgrade() else {
                return false;
            };
            // What dies may be just this connection's work.
            link.try_borrow_mut().is_ok_and(|mut link| link.fail_all())
        })));
    }

    /// The domain dies: answers what can be answered; says whether there was anything.
    pub(crate) fn last_words(&self) -> bool {
        let words = self.last_words.try_borrow();
        words.is_ok_and(|words| words.as_ref().is_some_and(|words| words()))
    }

    /// The domain wants to end.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        self.changed.notify();
    }
}
