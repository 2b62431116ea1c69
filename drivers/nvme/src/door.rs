//! The disks that GEOM sees, and where their requests wait for the controller.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::{Cell, RefCell};

use exec::{Log, Notify, info};
use geom::Errno;
use geom::disk::{Disk, DiskBio};

/// A request for the controller.
pub(crate) struct Ask {
    pub(crate) bio: DiskBio,
    pub(crate) namespace: u32,
    /// Bytes of a block are two to the power of this.
    pub(crate) shift: u32,
    /// Cleared when the namespace is gone, or is another one.
    pub(crate) open: Rc<Cell<bool>>,
    /// The controller had it before.
    pub(crate) repeated: bool,
}

/// Where GEOM hands over requests, and the controller's task takes them. All namespaces of a
/// controller share it.
#[derive(Default)]
pub(crate) struct Door {
    waiting: RefCell<VecDeque<Ask>>,
    closed: Cell<bool>,
    work: Notify,
}

impl Door {
    /// Rung when a request came through.
    pub(crate) fn work(&self) -> &Notify {
        &self.work
    }

    /// The requests that the controller has not been given.
    pub(crate) fn waiting(&self) -> &RefCell<VecDeque<Ask>> {
        &self.waiting
    }

    /// Refuses new requests from now on, and fails those that wait.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        let waiting = core::mem::take(&mut *self.waiting.borrow_mut());
        for ask in waiting {
            ask.bio.complete(Err(Errno::NoDevice));
        }
    }

    /// Fails what waits for namespaces that are gone.
    pub(crate) fn fail_gone(&self) {
        let mut waiting = self.waiting.borrow_mut();
        for _ in 0..waiting.len() {
            match waiting.pop_front() {
                Some(ask) if !ask.open.get() => ask.bio.complete(Err(Errno::NoDevice)),
                Some(ask) => waiting.push_back(ask),
                None => {}
            }
        }
    }
}

/// The driver's side of a disk.
pub(crate) struct Nvd {
    pub(crate) name: String,
    pub(crate) namespace: u32,
    pub(crate) shift: u32,
    /// Cleared when the namespace is gone.
    pub(crate) open: Rc<Cell<bool>>,
    pub(crate) door: Rc<Door>,
    pub(crate) log: Log,
}

impl Disk for Nvd {
    fn strategy(&mut self, bio: DiskBio) {
        if self.door.closed.get() || !self.open.get() {
            bio.complete(Err(Errno::NoDevice));
            return;
        }
        self.door.waiting.borrow_mut().push_back(Ask {
            bio,
            namespace: self.namespace,
            shift: self.shift,
            open: self.open.clone(),
            repeated: false,
        });
        self.door.work.notify();
    }

    fn gone(self: Box<Self>) {
        info!(self.log, "geom", "{} gone", self.name);
    }
}
