//! What the backend may still do when its requests have been failed.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::Notify;
use hv::{DomId, Hypervisor};
use pv::Pv;

use crate::queues::Remnant;

/// How long a backend may take to let go of the rings before they are counted as parked.
const LATE: Duration = Duration::from_secs(60);
/// The pause before the second look at what is left; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The share of the domain's memory that one backend's domain may have parked while a new
/// connection to it is made: what it keeps is not to be had from others.
const PARKED_SHARE: usize = 8;
/// The share that all of them together may have.
const PARKED_SHARE_OF_ALL: usize = 2;

/// What connections have left, over all devices.
pub(crate) struct Leavings<H: Hypervisor> {
    pv: Pv<H>,
    /// One for each connection, from its start on, so that leaving needs no memory.
    left: RefCell<Vec<Rc<Left<H>>>>,
    /// Answers that came too late.
    answers: Cell<u64>,
}

/// What one connection leaves.
struct Left<H: Hypervisor> {
    name: String,
    remnant: RefCell<Option<Remnant<H>>>,
    ended: Notify,
}

/// The place for what a connection leaves. Dropping it says that the connection has ended.
pub(crate) struct Late<H: Hypervisor>(Rc<Left<H>>);

impl<H: Hypervisor> Leavings<H> {
    pub(crate) fn new(pv: &Pv<H>) -> Rc<Self> {
        Rc::new(Self {
            pv: pv.clone(),
            left: RefCell::default(),
            answers: Cell::new(0),
        })
    }

    /// Answers that came when their request had been failed.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.get()
    }

    /// Makes a place for what a connection of the device `name` will leave.
    pub(crate) fn reserve(self: &Rc<Self>, name: &str) -> Late<H> {
        let left = Rc::new(Left {
            name: String::from(name),
            remnant: RefCell::new(None),
            ended: Notify::new(),
        });
        self.left.borrow_mut().push(left.clone());
        let keep = self.clone().keep(left.clone());
        self.pv.exec.spawn("late answers", keep);
        Late(left)
    }

    /// Lets go of all that backends have let go of, which may be a moment ago, and looks whether
    /// this domain can spare pages for another connection to `backend`.
    ///
    /// # Errors
    /// How many pages are parked, which are too many.
    pub(crate) fn make_room(&self, backend: DomId) -> Result<(), usize> {
        for left in self.left.borrow().iter() {
            self.look_at(left);
        }
        let (grants, total) = (&self.pv.grants, self.pv.hv.memory_use().total);
        grants.sweep();
        let (its, all) = (grants.parked_by(backend), grants.usage().parked);
        if its > total / PARKED_SHARE {
            Err(its)
        } else if all > total / PARKED_SHARE_OF_ALL {
            Err(all)
        } else {
            Ok(())
        }
    }

    /// Keeps what a connection leaves until the backend lets go of its rings.
    async fn keep(self: Rc<Self>, left: Rc<Left<H>>) {
        left.ended.notified().await;
        if let Some(remnant) = left.remnant.borrow_mut().as_mut() {
            remnant.shrink();
        }
        let until = self.pv.exec.now().after(LATE);
        let mut pause = FIRST_PAUSE;
        while !self.look_at(&left) {
            if self.pv.exec.now() >= until
                && let Some(remnant) = left.remnant.borrow().as_ref()
            {
                remnant.park_rings();
            }
            self.pv.exec.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let mut all = self.left.borrow_mut();
        all.retain(|other| !Rc::ptr_eq(other, &left));
    }

    /// Counts what came late, and lets go of what the backend has let go of. Says whether nothing
    /// is left.
    fn look_at(&self, left: &Left<H>) -> bool {
        let mut place = left.remnant.borrow_mut();
        let Some(remnant) = place.as_mut() else {
            return true;
        };
        // Asked first: once it is not mapped, no more answers come.
        let mapped = remnant.is_mapped();
        let late = remnant.late();
        if late != 0 {
            self.answers.set(self.answers.get() + late);
            exec::info!(
                self.pv.log,
                &left.name,
                "{late} answers came too late and were dropped"
            );
        }
        if !mapped {
            *place = None;
        }
        !mapped
    }
}

impl<H: Hypervisor> Late<H> {
    /// Hands over the rings of a connection that has ended. Allocates nothing.
    pub(crate) fn leave(self, remnant: Remnant<H>) {
        *self.0.remnant.borrow_mut() = Some(remnant);
    }
}

/// If it left no ring, it had never begun.
impl<H: Hypervisor> Drop for Late<H> {
    fn drop(&mut self) {
        self.0.ended.notify();
    }
}
