//! Several pages as one.

use alloc::vec::Vec;

use hv::{PAGE_SIZE, SharedMem};

/// Pages in a row, seen as one piece of shared memory: a ring of more than one page.
///
/// Bytes may straddle pages; words are aligned and so never do.
#[derive(Clone, Debug)]
pub struct Pages<M>(Vec<M>);

impl<M: SharedMem> Pages<M> {
    /// The pages in the order given.
    ///
    /// # Panics
    /// If one of them is not [`PAGE_SIZE`] long.
    #[must_use]
    pub fn new(pages: Vec<M>) -> Self {
        assert!(
            pages.iter().all(|page| page.len() == PAGE_SIZE),
            "a page is {PAGE_SIZE} bytes"
        );
        Self(pages)
    }

    /// The pages, in order.
    #[must_use]
    pub fn pages(&self) -> &[M] {
        &self.0
    }

    /// Gives the pages back.
    #[must_use]
    pub fn into_pages(self) -> Vec<M> {
        self.0
    }

    fn at(&self, offset: usize) -> (&M, usize) {
        (&self.0[offset / PAGE_SIZE], offset % PAGE_SIZE)
    }
}

/// The part of `offset..offset + length` that lies in the first page it touches.
fn first_part(offset: usize, length: usize) -> usize {
    length.min(PAGE_SIZE - offset % PAGE_SIZE)
}

impl<M: SharedMem> SharedMem for Pages<M> {
    fn len(&self) -> usize {
        self.0.len() * PAGE_SIZE
    }

    fn read(&self, mut offset: usize, mut into: &mut [u8]) {
        while !into.is_empty() {
            let (part, rest) = into.split_at_mut(first_part(offset, into.len()));
            let (page, within) = self.at(offset);
            page.read(within, part);
            offset += part.len();
            into = rest;
        }
    }

    fn write(&self, mut offset: usize, mut from: &[u8]) {
        while !from.is_empty() {
            let (part, rest) = from.split_at(first_part(offset, from.len()));
            let (page, within) = self.at(offset);
            page.write(within, part);
            offset += part.len();
            from = rest;
        }
    }

    fn fill(&self, mut offset: usize, mut length: usize, value: u8) {
        while length != 0 {
            let part = first_part(offset, length);
            let (page, within) = self.at(offset);
            page.fill(within, part, value);
            offset += part;
            length -= part;
        }
    }

    fn load_u32(&self, offset: usize) -> u32 {
        let (page, within) = self.at(offset);
        page.load_u32(within)
    }

    fn store_u32(&self, offset: usize, value: u32) {
        let (page, within) = self.at(offset);
        page.store_u32(within, value);
    }

    fn load_u64(&self, offset: usize) -> u64 {
        let (page, within) = self.at(offset);
        page.load_u64(within)
    }

    fn store_u64(&self, offset: usize, value: u64) {
        let (page, within) = self.at(offset);
        page.store_u64(within, value);
    }

    fn compare_exchange_u16(&self, offset: usize, current: u16, new: u16) -> Result<u16, u16> {
        let (page, within) = self.at(offset);
        page.compare_exchange_u16(within, current, new)
    }

    fn fetch_or_u64(&self, offset: usize, mask: u64) -> u64 {
        let (page, within) = self.at(offset);
        page.fetch_or_u64(within, mask)
    }

    fn fetch_and_u64(&self, offset: usize, mask: u64) -> u64 {
        let (page, within) = self.at(offset);
        page.fetch_and_u64(within, mask)
    }
}
