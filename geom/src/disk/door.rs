//! The one way into a driver.
//!
//! Every entry passes here, so that two things cannot happen unnoticed: a second entry while one is
//! running (refused as busy) and an entry after gone (refused and counted as a bug).

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use crate::bio::{DiskBio, Piece};
use crate::disk::{Attribute, Disk};
use crate::errno::Errno;

/// A driver behind its door. `None` once it is gone.
pub(crate) struct Door {
    driver: RefCell<Option<Box<dyn Disk>>>,
    late_entries: Rc<Cell<u64>>,
    /// A request found the driver busy.
    missed: Cell<bool>,
}

impl Door {
    /// `late_entries` counts entries after gone, over all doors that share it.
    pub(crate) fn new(driver: Box<dyn Disk>, late_entries: Rc<Cell<u64>>) -> Self {
        Self {
            driver: RefCell::new(Some(driver)),
            late_entries,
            missed: Cell::new(false),
        }
    }

    /// Whether no entry is running now.
    pub(crate) fn is_free(&self) -> bool {
        self.driver.try_borrow_mut().is_ok()
    }

    /// Notes that a request found the driver busy: who is inside sends it on.
    pub(crate) fn miss(&self) {
        self.missed.set(true);
    }

    /// Whether a request found the driver busy since this was last asked.
    pub(crate) fn take_missed(&self) -> bool {
        self.missed.replace(false)
    }

    pub(crate) fn open(&self) -> Result<(), Errno> {
        self.enter(|driver| driver.open())?
    }

    /// `false` if the driver is busy and the close must be tried later.
    pub(crate) fn close(&self) -> bool {
        self.enter(|driver| driver.close()) != Err(Errno::Busy)
    }

    /// The caller has made sure that the door is free. A bio that cannot enter completes by being
    /// dropped.
    #[inline]
    pub(crate) fn strategy(&self, bio: DiskBio) {
        if let Ok(mut slot) = self.driver.try_borrow_mut() {
            match slot.as_mut() {
                Some(driver) => driver.strategy(bio),
                None => self.note_late_entry(),
            }
        }
    }

    /// The end of what the driver carries out at once; `None` if it is to be handed over instead.
    #[inline]
    pub(crate) fn at_once(&self, request: &Piece) -> Option<Result<(), Errno>> {
        let mut slot = self.driver.try_borrow_mut().ok()?;
        slot.as_mut()?.at_once(request)
    }

    /// When the driver wants to be called next.
    pub(crate) fn timer(&self, now: Duration) -> Option<Duration> {
        self.enter(|driver| driver.timer(now)).ok().flatten()
    }

    pub(crate) fn getattr(&self, name: &str) -> Option<Result<Attribute, Errno>> {
        match self.enter(|driver| driver.getattr(name)) {
            Ok(answer) => answer,
            Err(errno) => Some(Err(errno)),
        }
    }

    /// Tells the driver and lets go of it. `false` if it is busy and must be told later.
    pub(crate) fn gone(&self) -> bool {
        let Ok(mut slot) = self.driver.try_borrow_mut() else {
            return false;
        };
        let driver = slot.take();
        drop(slot);
        match driver {
            Some(driver) => driver.gone(),
            None => self.note_late_entry(),
        }
        true
    }

    fn enter<T>(&self, call: impl FnOnce(&mut Box<dyn Disk>) -> T) -> Result<T, Errno> {
        let mut slot = self.driver.try_borrow_mut().map_err(|_| Errno::Busy)?;
        if let Some(driver) = slot.as_mut() {
            return Ok(call(driver));
        }
        self.note_late_entry();
        Err(Errno::NoDevice)
    }

    fn note_late_entry(&self) {
        self.late_entries.set(self.late_entries.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(Rc<Cell<u32>>);

    impl Disk for Counting {
        fn open(&mut self) -> Result<(), Errno> {
            self.0.set(self.0.get() + 1);
            Ok(())
        }
        fn strategy(&mut self, bio: DiskBio) {
            self.0.set(self.0.get() + 1);
            bio.complete(Ok(()));
        }
        fn gone(self: Box<Self>) {
            self.0.set(self.0.get() + 100);
        }
    }

    #[test]
    fn an_entry_after_gone_is_caught_and_never_reaches_the_driver() {
        let (calls, late) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let door = Door::new(Box::new(Counting(calls.clone())), late.clone());
        assert_eq!(door.open(), Ok(()));
        assert!(door.gone());
        assert_eq!((calls.get(), late.get()), (101, 0));
        assert_eq!(door.open(), Err(Errno::NoDevice));
        assert!(door.close());
        assert_eq!(door.getattr("GEOM::ident"), Some(Err(Errno::NoDevice)));
        assert!(door.gone());
        assert_eq!((calls.get(), late.get()), (101, 4));
    }
}
