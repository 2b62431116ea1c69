//! The pages that memory disks keep their data in.

use alloc::rc::Rc;

use geom::{Memory, PageSource};
use hv::{Hypervisor, PAGE_SIZE};
use iobuf::{Copies, IoPage};

/// Bytes that no memory disk is promised: for rings, requests and the heap of a domain of any size,
/// and what the list of a disk's pages takes.
const KEPT: usize = 1 << 20;
/// And one page of so many.
const KEPT_SHARE: usize = 32;

/// Pages of the domain's, which Xen copies to and from when they are served to another.
pub(crate) struct Pages<H: Hypervisor> {
    pub(crate) hv: H,
    /// What waits to be copied.
    pub(crate) copies: Copies<H>,
}

impl<H: Hypervisor> PageSource for Pages<H> {
    fn page(&self) -> Option<Rc<dyn Memory>> {
        let page = self.hv.alloc_page()?;
        Some(Rc::new(IoPage::<H>::new(page)))
    }

    fn page_size(&self) -> usize {
        PAGE_SIZE
    }

    fn free_bytes(&self) -> u64 {
        let memory = self.hv.memory_use();
        let kept = KEPT / PAGE_SIZE + memory.total / KEPT_SHARE;
        memory.free.saturating_sub(kept) as u64 * PAGE_SIZE as u64
    }

    fn settle(&self) {
        self.copies.flush();
    }
}
