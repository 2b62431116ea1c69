//! What the backend may still come to when a connection has ended.
//!
//! It has the rings as long as it maps them, and with them the references of the pages in them:
//! none may be another page's by then.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::Notify;
use hv::{DomId, Hypervisor};
use pv::Pv;

use crate::queues::Queues;

/// How long a backend may take to let go of the rings before they are counted as parked.
const LATE: Duration = Duration::from_secs(60);
/// The pause before the second look at what is left; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What connections have left, over all devices.
pub(crate) struct Leavings<H: Hypervisor> {
    pv: Pv<H>,
    /// One for each connection, from its start on, so that leaving needs no memory.
    left: RefCell<Vec<Rc<Left<H>>>>,
}

/// What one connection leaves.
struct Left<H: Hypervisor> {
    peer: DomId,
    queues: RefCell<Option<Queues<H>>>,
    /// Pages that the backend may still come to, until they are parked.
    pages: Cell<usize>,
    ended: Notify,
}

/// The place for what a connection leaves. Dropping it says that the connection has ended.
pub(crate) struct Late<H: Hypervisor>(Rc<Left<H>>);

impl<H: Hypervisor> Leavings<H> {
    pub(crate) fn new(pv: &Pv<H>) -> Rc<Self> {
        Rc::new(Self {
            pv: pv.clone(),
            left: RefCell::default(),
        })
    }

    /// Makes a place for what a connection to `peer` will leave.
    pub(crate) fn reserve(self: &Rc<Self>, peer: DomId) -> Late<H> {
        let left = Rc::new(Left {
            peer,
            queues: RefCell::new(None),
            pages: Cell::new(0),
            ended: Notify::new(),
        });
        self.left.borrow_mut().push(left.clone());
        let keep = self.clone().keep(left.clone());
        self.pv.exec.spawn("late vif", keep);
        Late(left)
    }

    /// Lets go of all that backends have let go of, and returns how many pages `peer` still
    /// has, but for those that are parked.
    /// Each is seen to a second later at most; this is for whoever needs the pages now.
    pub(crate) fn sweep(&self, peer: DomId) -> usize {
        let left = self.left.borrow();
        left.iter()
            .filter(|left| !left.is_over() && left.peer == peer)
            .map(|left| left.pages.get())
            .sum()
    }

    /// Keeps what a connection leaves until the backend lets go of its rings.
    async fn keep(self: Rc<Self>, left: Rc<Left<H>>) {
        left.ended.notified().await;
        let until = self.pv.exec.now().after(LATE);
        let mut pause = FIRST_PAUSE;
        while !left.is_over() {
            if self.pv.exec.now() >= until
                && let Some(queues) = left.queues.borrow().as_ref()
            {
                queues.park();
                left.pages.set(0);
            }
            self.pv.exec.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let mut all = self.left.borrow_mut();
        all.retain(|other| !Rc::ptr_eq(other, &left));
    }
}

impl<H: Hypervisor> Left<H> {
    /// Lets go of what the backend has let go of. Says whether nothing is left.
    fn is_over(&self) -> bool {
        let mut place = self.queues.borrow_mut();
        if place.as_ref().is_some_and(Queues::is_mapped) {
            return false;
        }
        *place = None;
        self.pages.set(0);
        true
    }
}

impl<H: Hypervisor> Late<H> {
    /// Takes the rings of a connection that has ended. Allocates nothing.
    pub(crate) fn leave(self, mut queues: Queues<H>) {
        self.0.pages.set(queues.end());
        *self.0.queues.borrow_mut() = Some(queues);
    }
}

/// If it left no rings, it had never begun.
impl<H: Hypervisor> Drop for Late<H> {
    fn drop(&mut self) {
        self.0.ended.notify();
    }
}
