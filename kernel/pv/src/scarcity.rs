//! Whether memory is wanted that is not free.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

/// Whether the domain is to have less memory than it can do with: then whoever keeps pages for
/// later lets them go, but for those that it cannot work without, and makes no more. Clones say
/// the same, in any run loop.
#[derive(Clone, Default)]
pub struct Scarcity(Arc<AtomicBool>);

impl Scarcity {
    /// Says so from now on.
    pub fn set(&self, scarce: bool) {
        self.0.store(scarce, Ordering::Relaxed);
    }

    /// What was said last.
    #[must_use]
    pub fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
