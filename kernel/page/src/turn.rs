//! What one client at a time may do.

use alloc::rc::Rc;
use core::cell::Cell;

/// Whether somebody does it. A handle.
#[derive(Clone, Default)]
pub(crate) struct Once(Rc<Cell<bool>>);

/// The turn of the one who does it; dropping it ends it.
pub(crate) struct Turn(Rc<Cell<bool>>);

impl Once {
    /// A turn, unless somebody has it.
    #[must_use]
    pub(crate) fn begin(&self) -> Option<Turn> {
        (!self.0.replace(true)).then(|| Turn(self.0.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
