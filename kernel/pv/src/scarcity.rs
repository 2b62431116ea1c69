//! Whether memory is wanted that is not free.

use alloc::rc::Rc;
use core::cell::Cell;

/// Whether the domain is to have less memory than it can do with: then whoever keeps pages for
/// later lets them go, but for those that it cannot work without, and makes no more. Clones say
/// the same.
#[derive(Clone, Default)]
pub struct Scarcity(Rc<Cell<bool>>);

impl Scarcity {
    /// Says so from now on.
    pub fn set(&self, scarce: bool) {
        self.0.set(scarce);
    }

    /// What was said last.
    #[must_use]
    pub fn is(&self) -> bool {
        self.0.get()
    }
}
