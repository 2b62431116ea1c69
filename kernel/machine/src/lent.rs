//! Frames in a row that only the domain itself writes.
#![expect(unsafe_code, reason = "they are lent as plain bytes")]

use core::ptr;
use core::slice;

use hv::{Mfn, PAGE_SIZE, Pfn};

use crate::frame::{self, HEAP_RESERVE, Page};
use crate::mmu;

/// Frames in a row, mapped. Dropping it gives the frames back.
///
/// They are granted to peers for reading only, so nobody else writes them, and a reference to their
/// bytes is like one to any other memory of the domain's: what a peer reads of it meanwhile is the
/// peer's concern.
pub struct Lent {
    first: Pfn,
    pages: usize,
}

impl Lent {
    /// Takes `pages` frames in a row, filled with zeros. Leaves some for the heap.
    pub(crate) fn take(pages: usize) -> Option<Self> {
        if pages == 0 {
            return None;
        }
        let first = frame::take_run(None, u64::try_from(pages).ok()?, HEAP_RESERVE)?;
        let mut lent = Self { first, pages };
        lent.bytes().fill(0);
        Some(lent)
    }

    fn bytes(&mut self) -> &mut [u8] {
        let start = ptr::with_exposed_provenance_mut(mmu::address(self.first) as usize);
        // SAFETY: the frames are mapped for good, in a row, and this owner's alone until it is
        // dropped; peers may only read them.
        unsafe { slice::from_raw_parts_mut(start, self.pages * PAGE_SIZE) }
    }

    fn frame(&self, index: usize) -> Pfn {
        Pfn(self.first.0 + index as u64)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        for index in 0..self.pages {
            frame::release(self.frame(index));
        }
    }
}

impl hv::Span for Lent {
    type Page = Page;

    fn pages(&self) -> usize {
        self.pages
    }

    fn mfn(&self, index: usize) -> Mfn {
        assert!(index < self.pages, "a page beyond the span's end");
        // Frames were seen to have machine frames when they were made available.
        Mfn(mmu::mfn(self.frame(index)).unwrap_or(u64::MAX))
    }

    fn write<R>(&mut self, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        fill(self.bytes())
    }

    fn into_pages(mut self) -> impl Iterator<Item = Page> {
        core::iter::from_fn(move || {
            self.pages = self.pages.checked_sub(1)?;
            let frame = self.first;
            self.first = self.frame(1);
            // SAFETY: the frame is no longer this owner's, whose bytes nobody borrows.
            Some(unsafe { Page::of(frame) })
        })
    }
}
