//! The pages of a memory disk.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ops::Range;

use crate::errno::Errno;
use crate::memory::{Buffer, Memory};
use crate::pages::Pages;

use super::{MdError, MdParams};

/// Zeros that a page is overwritten with at a time.
const ZEROS: [u8; 512] = [0; 512];

/// What a memory disk holds: a page, or nothing, for each page of its size.
pub(crate) struct Store {
    pages: Pages,
    page_size: usize,
    slots: RefCell<Vec<Option<Rc<dyn Memory>>>>,
    used: Cell<u64>,
    pub(crate) label: String,
    /// It keeps its pages, whatever is deleted.
    pub(super) reserved: bool,
}

/// Some bytes of one page: its index, and which of its bytes.
type Part = (usize, Range<usize>);

impl Store {
    /// All zeros; with all pages there if they are to be reserved.
    pub(super) fn new(pages: Pages, params: &MdParams) -> Result<Self, MdError> {
        let page_size = pages.source.page_size();
        let count = params.size.div_ceil(page_size as u64);
        let count = usize::try_from(count).map_err(|_| MdError::NoMemory)?;
        let mut slots = Vec::new();
        slots
            .try_reserve_exact(count)
            .map_err(|_| MdError::NoMemory)?;
        for _ in 0..count {
            let page = if params.reserve {
                Some(pages.source.page().ok_or(MdError::NoMemory)?)
            } else {
                None
            };
            slots.push(page);
        }
        Ok(Self {
            pages,
            page_size,
            used: Cell::new(if params.reserve { count as u64 } else { 0 }),
            slots: RefCell::new(slots),
            label: params.label.clone(),
            reserved: params.reserve,
        })
    }

    /// Bytes of pages it has now.
    pub(super) fn used(&self) -> u64 {
        self.used.get() * self.page_size as u64
    }

    pub(crate) fn config(&self) -> Vec<(&'static str, String)> {
        let mut config = vec![("used", format!("{}", self.used()))];
        if !self.label.is_empty() {
            config.push(("label", self.label.clone()));
        }
        if self.reserved {
            config.push(("options", String::from("reserve")));
        }
        config
    }

    /// Copies the bytes at `offset` to all of `data`.
    pub(super) fn read(&self, offset: u64, data: &Buffer) {
        let slots = self.slots.borrow();
        let (memory, start) = data.memory();
        let mut at = start;
        for (index, part) in self.parts(offset, data.len() as u64) {
            let page = slots.get(index).and_then(Option::as_ref);
            let page = page.unwrap_or(&self.pages.zero);
            let length = part.len();
            memory.copy_from(at, page, part.start, length);
            at += length;
        }
    }

    /// Copies all of `data` to the bytes at `offset`.
    pub(super) fn write(&self, offset: u64, data: &Buffer) -> Result<(), Errno> {
        let mut slots = self.slots.borrow_mut();
        let (memory, start) = data.memory();
        let mut at = start;
        for (index, part) in self.parts(offset, data.len() as u64) {
            let slot = slots.get_mut(index).ok_or(Errno::Io)?;
            if slot.is_none() {
                *slot = Some(self.pages.source.page().ok_or(Errno::NoSpace)?);
                self.used.set(self.used.get() + 1);
            }
            if let Some(page) = slot {
                let length = part.len();
                memory.copy_to(at, page, part.start, length);
                at += length;
            }
        }
        Ok(())
    }

    /// Makes bytes zero: whole pages are given back, with their bytes overwritten if they are to
    /// be beyond recovery.
    pub(super) fn clear(&self, offset: u64, length: u64, erase: bool) {
        let mut slots = self.slots.borrow_mut();
        let mut settled = false;
        for (index, part) in self.parts(offset, length) {
            let Some(slot) = slots.get_mut(index) else {
                return;
            };
            let Some(page) = slot else { continue };
            let keep = self.reserved || part.len() < self.page_size;
            if keep || erase {
                if !core::mem::replace(&mut settled, true) {
                    self.pages.source.settle();
                }
                overwrite(&**page, part);
            }
            if !keep {
                *slot = None;
                self.used.set(self.used.get() - 1);
            }
        }
    }

    /// The parts of pages that a range of bytes is made of.
    fn parts(&self, offset: u64, length: u64) -> impl Iterator<Item = Part> + use<> {
        let (size, shift) = (self.page_size as u64, self.page_size.trailing_zeros());
        let (mut at, end) = (offset, offset + length);
        core::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let index = at >> shift;
            let start = at & (size - 1);
            let stop = (start + (end - at)).min(size);
            at += stop - start;
            Some((index as usize, start as usize..stop as usize))
        })
    }
}

fn overwrite(page: &dyn Memory, part: Range<usize>) {
    for at in part.clone().step_by(ZEROS.len()) {
        let length = ZEROS.len().min(part.end - at);
        page.copy_in(at, &ZEROS[..length]);
    }
}
