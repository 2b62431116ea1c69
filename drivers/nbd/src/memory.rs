//! Memory for what clients read and write.

use alloc::rc::Rc;
use alloc::vec::Vec;

/// Bytes that are left to the rest of the domain, whose allocations may not fail.
const KEPT: usize = 512 << 10;

/// Where buffers come from.
#[derive(Clone)]
pub(crate) struct Memory(Rc<dyn Fn() -> usize>);

impl Memory {
    /// `room` says how many bytes can be had.
    pub(crate) fn new(room: Rc<dyn Fn() -> usize>) -> Self {
        Self(room)
    }

    /// So many zeroes; `None` if there is no memory for them now. How much clients ask for must not
    /// end the domain.
    pub(crate) fn zeroed(&self, length: u32) -> Option<Vec<u8>> {
        let length = usize::try_from(length).ok()?;
        if (self.0)() < length.saturating_add(KEPT) {
            return None;
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).ok()?;
        bytes.resize(length, 0);
        Some(bytes)
    }
}
