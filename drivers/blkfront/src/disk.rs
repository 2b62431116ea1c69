//! The disk that GEOM sees.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::{Cell, RefCell};

use exec::{Log, Notify, info};
use geom::Errno;
use geom::disk::{Disk, DiskBio};

/// Where GEOM hands over requests, and the device's task takes them.
#[derive(Default)]
pub(crate) struct Door {
    waiting: RefCell<VecDeque<DiskBio>>,
    closed: Cell<bool>,
    held: Cell<bool>,
    work: Notify,
}

impl Door {
    /// Rung when a request came through.
    pub(crate) fn work(&self) -> &Notify {
        &self.work
    }

    /// The requests that the backend has not been given.
    pub(crate) fn waiting(&self) -> &RefCell<VecDeque<DiskBio>> {
        &self.waiting
    }

    /// Whether new requests are taken.
    pub(crate) fn is_open(&self) -> bool {
        !self.closed.get()
    }

    /// Whether requests wait here whatever the backend could take.
    pub(crate) fn is_held(&self) -> bool {
        self.held.get()
    }

    /// Has requests wait here, or go on.
    pub(crate) fn hold(&self, held: bool) {
        self.held.set(held);
        self.work.notify();
    }

    /// Refuses new requests from now on, and fails those that wait.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.fail_waiting();
    }

    /// Fails the requests that wait.
    pub(crate) fn fail_waiting(&self) {
        let waiting = core::mem::take(&mut *self.waiting.borrow_mut());
        for bio in waiting {
            bio.complete(Err(Errno::NoDevice));
        }
    }
}

/// The driver's side of a disk.
pub(crate) struct Vbd {
    name: String,
    door: Rc<Door>,
    log: Log,
}

impl Vbd {
    pub(crate) fn new(name: String, door: Rc<Door>, log: Log) -> Self {
        Self { name, door, log }
    }
}

impl Disk for Vbd {
    fn strategy(&mut self, bio: DiskBio) {
        if self.door.closed.get() {
            bio.complete(Err(Errno::NoDevice));
            return;
        }
        self.door.waiting.borrow_mut().push_back(bio);
        self.door.work.notify();
    }

    fn gone(self: Box<Self>) {
        info!(self.log, "geom", "{} gone", self.name);
    }
}
