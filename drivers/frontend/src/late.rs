//! What the backend may still come to when a connection has ended.
//!
//! It has the rings as long as it maps them, and with them the references of the pages in them:
//! none may be another page's by then.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use exec::{Executor, Notify};
use hv::DomId;

/// How long a backend may take to let go of the rings before they are counted as parked.
const LATE: Duration = Duration::from_secs(60);
/// The pause before the second look at what is left; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a connection leaves. Dropping it lets go of everything.
pub trait Remnant: 'static {
    /// Whether the backend still has it. Asked again and again, until it has not.
    fn is_held(&mut self) -> bool;

    /// Gives back the memory of what is not needed for keeping.
    fn shrink(&mut self) {}

    /// Counts as parked what the backend has had for long enough. May be asked again.
    fn park(&mut self);

    /// How many pages the backend has, but for those that are parked.
    fn pages(&self) -> usize;
}

/// What connections have left, over all devices of a frontend.
pub struct Leavings {
    exec: Executor,
    /// One for each connection, from its start on, so that leaving needs no memory.
    left: RefCell<Vec<Rc<dyn Left>>>,
}

/// The place for what a connection leaves. Dropping it says that the connection has ended.
pub struct Late<R: Remnant>(Rc<Place<R>>);

struct Place<R> {
    peer: DomId,
    ended: Notify,
    remnant: RefCell<Option<R>>,
}

/// A place, whatever is left there.
trait Left {
    fn peer(&self) -> DomId;

    fn ended(&self) -> &Notify;

    /// Has `act` use what is left; nothing, if nothing is.
    fn with(&self, act: &mut dyn FnMut(&mut dyn Remnant));

    /// Lets go of what the backend has let go of. Says whether nothing is left.
    fn is_over(&self) -> bool;
}

impl<R: Remnant> Left for Place<R> {
    fn peer(&self) -> DomId {
        self.peer
    }

    fn ended(&self) -> &Notify {
        &self.ended
    }

    fn with(&self, act: &mut dyn FnMut(&mut dyn Remnant)) {
        if let Some(remnant) = self.remnant.borrow_mut().as_mut() {
            act(remnant);
        }
    }

    fn is_over(&self) -> bool {
        let mut place = self.remnant.borrow_mut();
        if place.as_mut().is_some_and(R::is_held) {
            return false;
        }
        *place = None;
        true
    }
}

impl Leavings {
    /// Nothing is left yet. Tasks of `exec` look after what will be.
    #[must_use]
    pub fn new(exec: &Executor) -> Rc<Self> {
        Rc::new(Self {
            exec: exec.clone(),
            left: RefCell::default(),
        })
    }

    /// Makes a place for what a connection to `peer` will leave. Its task is called `task`.
    pub fn reserve<R: Remnant>(self: &Rc<Self>, peer: DomId, task: &'static str) -> Late<R> {
        let place = Rc::new(Place {
            peer,
            ended: Notify::new(),
            remnant: RefCell::new(None),
        });
        let left: Rc<dyn Left> = place.clone();
        self.left.borrow_mut().push(left.clone());
        self.exec.spawn(task, self.clone().keep(left));
        Late(place)
    }

    /// Lets go of all that backends have let go of, and returns how many pages `peer` still
    /// has, but for those that are parked.
    /// Each is seen to a second later at most; this is for whoever needs the pages now.
    pub fn sweep(&self, peer: DomId) -> usize {
        let mut pages = 0;
        for left in self.left.borrow().iter() {
            if !left.is_over() && left.peer() == peer {
                left.with(&mut |remnant| pages += remnant.pages());
            }
        }
        pages
    }

    /// Keeps what a connection leaves until the backend lets go of its rings.
    async fn keep(self: Rc<Self>, left: Rc<dyn Left>) {
        left.ended().notified().await;
        left.with(&mut |remnant| remnant.shrink());
        let until = self.exec.now().after(LATE);
        let mut pause = FIRST_PAUSE;
        while !left.is_over() {
            if self.exec.now() >= until {
                left.with(&mut |remnant| remnant.park());
            }
            self.exec.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let mut all = self.left.borrow_mut();
        all.retain(|other| !Rc::ptr_eq(other, &left));
    }
}

impl<R: Remnant> Late<R> {
    /// Takes what a connection that has ended leaves. Allocates nothing.
    pub fn leave(self, remnant: R) {
        *self.0.remnant.borrow_mut() = Some(remnant);
    }
}

/// If it left nothing, it had never begun.
impl<R: Remnant> Drop for Late<R> {
    fn drop(&mut self) {
        self.0.ended.notify();
    }
}

#[cfg(test)]
mod tests;
