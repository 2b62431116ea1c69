//! What one vCPU at a time has.
#![expect(
    unsafe_code,
    reason = "what is not for several vCPUs is handed from one to another"
)]

use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::vcpu;

/// A value that is not made for several vCPUs, and the one that has it: at first the one that makes
/// this.
pub struct VcpuCell<T> {
    holder: AtomicU32,
    /// Only the holder looks at it.
    in_use: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: `value` and `in_use` are touched by the holder only, and what it did is seen by the next
// one; that nothing of the value is elsewhere is the promise of who made it.
unsafe impl<T> Send for VcpuCell<T> {}
// SAFETY: as for `Send`.
unsafe impl<T> Sync for VcpuCell<T> {}

impl<T> VcpuCell<T> {
    /// A value that the vCPU has that calls this.
    ///
    /// # Safety
    /// Nothing outside of the value shares with it what is not made for several vCPUs.
    pub unsafe fn new(value: T) -> Self {
        Self {
            holder: AtomicU32::new(vcpu::current()),
            in_use: Cell::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Has `act` use the value if this vCPU has it, and does nothing otherwise, or within such a
    /// use.
    pub fn with(&self, act: impl FnOnce(&T)) {
        if self.holder.load(Ordering::Acquire) != vcpu::current() || self.in_use.replace(true) {
            return;
        }
        // SAFETY: this vCPU has it, and does not hand it on before `in_use` is false.
        act(unsafe { &*self.value.get() });
        self.in_use.set(false);
    }

    /// Hands the value to `vcpu`.
    ///
    /// Panics if this vCPU does not have it, or uses it.
    pub fn pass(&self, vcpu: u32) {
        let has_it = self.holder.load(Ordering::Relaxed) == vcpu::current();
        assert!(has_it && !self.in_use.get(), "it is not to be handed on");
        self.holder.store(vcpu, Ordering::Release);
    }

    /// The domain dies, and only this vCPU runs: the value, whoever had it.
    ///
    /// # Safety
    /// No other vCPU runs any more.
    #[must_use]
    pub unsafe fn seize(&self) -> &T {
        // SAFETY: the caller's promise; another vCPU may have stood still within a use.
        unsafe { &*self.value.get() }
    }
}
