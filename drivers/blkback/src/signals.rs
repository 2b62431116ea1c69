//! What the bus, the domain and an export's task tell each other.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::{Rc, Weak};
use alloc::string::{String, ToString};
use core::cell::{Cell, RefCell};

use exec::Notify;
use hv::{DomId, Hypervisor};
use xenbus::LastWrite;
use xenbus::state::XenbusState;

use crate::link::Link;
use crate::statistics::Statistics;

type Connected = dyn Fn(bool) -> bool;

/// One export as everybody but its task sees it.
pub(crate) struct Signals {
    pub(crate) frontend: DomId,
    pub(crate) device: u32,
    /// It is served here, not by another run loop's.
    pub(crate) ours: Cell<bool>,
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
    /// Says in xenstore that this end closes.
    pub(crate) closing_last: LastWrite,
    /// Whether the connection is there; if so and it is wished, its frontend is sent an event.
    connected: RefCell<Option<Box<Connected>>>,
}

impl Signals {
    pub(crate) fn new(frontend: DomId, device: u32) -> Self {
        Self {
            frontend,
            device,
            ours: Cell::new(false),
            removed: Cell::new(false),
            closing: Cell::new(false),
            changed: Notify::new(),
            closed: Cell::new(false),
            provider: RefCell::default(),
            read_only: Cell::new(false),
            state: Cell::new(XenbusState::Unknown),
            statistics: Rc::default(),
            last_words: RefCell::default(),
            closing_last: LastWrite::new(
                &format!("backend/vbd/{frontend}/{device}/state"),
                &XenbusState::Closing.number().to_string(),
            ),
            connected: RefCell::default(),
        }
    }

    /// The export's nodes are gone.
    pub(crate) fn remove(&self) {
        self.removed.set(true);
        self.changed.notify();
    }

    /// Remembers the connection whose requests are to be answered when the domain dies.
    pub(crate) fn set_last_words<H: Hypervisor>(&self, link: &Rc<RefCell<Link<H>>>) {
        let ledgers = link.borrow().ledgers();
        let nudged = ledgers.clone();
        self.last_words.replace(Some(Box::new(move || {
            let there = ledgers.iter().filter_map(Weak::upgrade);
            there.fold(false, |any, ledger| ledger.last_words() | any)
        })));
        let link = Rc::downgrade(link);
        self.connected.replace(Some(Box::new(move |nudge| {
            let connected = link.strong_count() > 0;
            if connected && nudge {
                let there = nudged.iter().filter_map(Weak::upgrade);
                there.for_each(|ledger| ledger.channel.notify());
            }
            connected
        })));
    }

    /// The domain dies: answers what can be answered; says whether there was anything.
    pub(crate) fn last_words(&self) -> bool {
        let words = self.last_words.try_borrow();
        words.is_ok_and(|words| words.as_ref().is_some_and(|words| words()))
    }

    /// Whether there is a connection. With `nudge`, its frontend is sent an event for nothing.
    pub(crate) fn is_connected(&self, nudge: bool) -> bool {
        let connected = self.connected.try_borrow();
        connected.is_ok_and(|connected| {
            let connected = connected.as_ref();
            connected.is_some_and(|connected| connected(nudge))
        })
    }

    /// The domain wants to end.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        self.changed.notify();
    }
}
