//! Pages in a row that only their domain writes.

use hv::{Mfn, PAGE_SIZE, Page, SharedMem};

use crate::Memory;

/// Pages that their domain writes as plain bytes. What it writes is in the frames, for peers to
/// read, when it has been written.
pub struct Lent {
    bytes: Vec<u8>,
    pages: Vec<Memory>,
}

impl Lent {
    /// These pages, one at least.
    pub(crate) fn new(pages: Vec<Memory>) -> Option<Self> {
        (!pages.is_empty()).then(|| Self {
            bytes: vec![0; pages.len() * PAGE_SIZE],
            pages,
        })
    }
}

impl hv::Span for Lent {
    type Page = Memory;

    fn pages(&self) -> usize {
        self.pages.len()
    }

    fn mfn(&self, index: usize) -> Mfn {
        self.pages[index].mfn()
    }

    fn write<R>(&mut self, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let result = fill(&mut self.bytes);
        for (page, bytes) in self.pages.iter().zip(self.bytes.chunks(PAGE_SIZE)) {
            page.write(0, bytes);
        }
        result
    }

    fn into_pages(self) -> impl Iterator<Item = Memory> {
        self.pages.into_iter()
    }
}
