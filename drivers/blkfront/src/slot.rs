//! One request on its way to the backend, and the pages that its data is in.

use alloc::rc::Rc;
use alloc::vec::Vec;

use geom::disk::{Command, DiskBio};
use geom::{Buffer, Memory};
use hv::{Hypervisor, PAGE_SIZE, SharedMem};
use xen_abi::io::blkif::{
    DISCARD_SECURE, Direct, MAX_INDIRECT_PAGES_PER_REQUEST, MAX_SEGMENTS_PER_REQUEST, OP_DISCARD,
    OP_INDIRECT, OP_READ, OP_WRITE, Request, Response, SECTOR_SIZE, SEGMENT_SIZE, Segment,
};

use crate::pool::{Pool, PoolPage};

/// What is known of a request. It is used again for the next one.
pub(crate) struct Slot<H: Hypervisor> {
    /// What the backend's answer must name.
    pub(crate) id: u64,
    /// There while the backend owes an answer.
    pub(crate) bio: Option<DiskBio>,
    /// What the backend is asked to do.
    pub(crate) operation: u8,
    /// Pages for the data, and behind them one for the segments of an indirect request.
    pages: Vec<PoolPage<H>>,
}

impl<H: Hypervisor> Slot<H> {
    pub(crate) fn new() -> Self {
        Self {
            id: 0,
            bio: None,
            operation: 0,
            pages: Vec::new(),
        }
    }

    /// Takes the pages that `length` bytes need; `false` if there are not so many.
    pub(crate) fn take_pages(&mut self, length: usize, pool: &mut Pool<H>) -> bool {
        let data = length.div_ceil(PAGE_SIZE);
        let count = data + usize::from(data > MAX_SEGMENTS_PER_REQUEST);
        self.pages.reserve(count);
        pool.take(count, &mut self.pages)
    }

    /// Whether it has any pages.
    pub(crate) fn has_pages(&self) -> bool {
        !self.pages.is_empty()
    }

    /// Parks the pages: the request that names them has no answer, and is to have none.
    pub(crate) fn park_pages(&self) {
        for page in &self.pages {
            page.granted().park();
        }
    }

    /// Gives the pages back, to and from which no copy is still to be made.
    pub(crate) fn give_pages(&mut self, pool: &mut Pool<H>) {
        pool.give(&mut self.pages);
    }

    /// Whether the segments are in a page of their own.
    pub(crate) fn is_indirect(&self) -> bool {
        self.pages.len() > MAX_SEGMENTS_PER_REQUEST
    }

    /// Whether `response` names the operation that was asked for.
    pub(crate) fn is_answered_by(&self, response: &Response) -> bool {
        response.operation == self.operation
            || (self.is_indirect() && response.operation == OP_INDIRECT)
    }

    /// Has what is to be written copied to the pages. It is there when `data` is settled.
    pub(crate) fn fill(&self, data: &Buffer) {
        if self.operation == OP_WRITE {
            self.each_part(data.len(), |at, part| {
                // The parts of a buffer's own length lie inside it.
                let _inside = data.copy_to(at, part);
            });
        }
    }

    /// Has what was read copied from the pages. It is there when `data` is settled.
    pub(crate) fn empty(&self, data: &Buffer) {
        if self.operation == OP_READ {
            self.each_part(data.len(), |at, part| {
                let _inside = data.copy_from(at, part);
            });
        }
    }

    /// The parts of the pages that `length` bytes lie in, with where among them each begins.
    fn each_part(&self, length: usize, mut each: impl FnMut(usize, &Buffer)) {
        for (page, at) in self.pages.iter().zip((0..length).step_by(PAGE_SIZE)) {
            let memory: Rc<dyn Memory> = page.clone();
            // No part is longer than a page.
            if let Ok(part) = Buffer::over(memory).part(0..PAGE_SIZE.min(length - at)) {
                each(at, &part);
            }
        }
    }

    /// The request for the ring, about `bio`; the segments of an indirect one go to their page.
    /// `segments` is room for them.
    pub(crate) fn request(
        &self,
        handle: u16,
        bio: &DiskBio,
        segments: &mut Vec<Segment>,
    ) -> Request {
        let (operation, id, sector) = (self.operation, self.id, bio.offset / SECTOR_SIZE);
        if operation == OP_DISCARD {
            let secure = bio.command == Command::Erase;
            return Request::Discard {
                flag: if secure { DISCARD_SECURE } else { 0 },
                handle,
                id,
                sector,
                sectors: bio.length / SECTOR_SIZE,
            };
        }
        self.describe(bio.data.len(), segments);
        if let Some(direct) = Direct::new(operation, handle, id, sector, segments) {
            return Request::Direct(direct);
        }
        let mut grefs = [0; MAX_INDIRECT_PAGES_PER_REQUEST];
        if let Some(list) = self.pages.last() {
            grefs[0] = list.granted().reference().0;
            for (index, segment) in segments.iter().enumerate() {
                list.granted()
                    .write(index * SEGMENT_SIZE, &segment.encode());
            }
        }
        // At most 64 segments: `Features` sees to that.
        let segments = u16::try_from(segments.len()).unwrap_or(0);
        Request::Indirect {
            operation,
            handle,
            id,
            sector,
            segments,
            grefs,
        }
    }

    /// Describes `length` bytes that fill the pages from the start.
    fn describe(&self, length: usize, segments: &mut Vec<Segment>) {
        segments.clear();
        let parts = self.pages.iter().zip((0..length).step_by(PAGE_SIZE));
        segments.extend(parts.map(|(page, at)| {
            let sectors = (length - at).min(PAGE_SIZE) / SECTOR_SIZE as usize;
            Segment {
                gref: page.granted().reference().0,
                first_sect: 0,
                // A page holds 8 sectors, and a bio whole ones.
                last_sect: u8::try_from(sectors.saturating_sub(1)).unwrap_or(7),
            }
        }));
    }
}
