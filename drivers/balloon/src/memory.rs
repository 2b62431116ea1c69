//! The domain's memory, whatever it runs on.

use alloc::vec::Vec;

use hv::{Errno, Hypervisor, MemoryUse};

use crate::plan::BATCH;

/// What the task asks of the hypervisor.
pub(crate) trait Memory {
    fn usage(&self) -> MemoryUse;
    fn most(&self) -> usize;
    fn give(&mut self, count: usize) -> Result<usize, Errno>;
    fn get(&mut self, count: usize) -> Result<usize, Errno>;
}

/// The memory of the domain that the hypervisor speaks for.
pub(crate) struct Own<H: Hypervisor> {
    hv: H,
    /// Pages on their way to Xen; empty but for a moment, with room for a batch.
    leaving: Vec<H::Page>,
}

impl<H: Hypervisor> Own<H> {
    pub(crate) fn new(hv: &H) -> Self {
        Self {
            hv: hv.clone(),
            leaving: Vec::with_capacity(BATCH),
        }
    }
}

impl<H: Hypervisor> Memory for Own<H> {
    fn usage(&self) -> MemoryUse {
        self.hv.memory_use()
    }

    fn most(&self) -> usize {
        self.hv.most_pages()
    }

    fn give(&mut self, count: usize) -> Result<usize, Errno> {
        for _ in 0..count.min(BATCH) {
            match self.hv.alloc_page() {
                Some(page) => self.leaving.push(page),
                None => break,
            }
        }
        let given = self.hv.give_pages(&mut self.leaving);
        self.leaving.clear();
        given
    }

    fn get(&mut self, count: usize) -> Result<usize, Errno> {
        self.hv.get_pages(count)
    }
}
