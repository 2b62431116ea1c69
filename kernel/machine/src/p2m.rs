//! The list of the domain's frames as the toolstack reads it: by it a domain is saved.
//!
//! Three levels (`struct arch_shared_info` of arch-x86/xen.h): the shared info page names a page of
//! machine frames, those are pages of machine frames again, and those hold the machine frame of
//! each of the domain's pages. The builder's list is the last level for the memory that the domain
//! started with; with each level-1 table that the direct map gets later comes another page of it.
//!
//! The toolstack may read it at any moment. When it makes the domain anew it puts the new machine
//! frames into the last level only.
#![expect(unsafe_code, reason = "it writes pages that the toolstack reads")]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use hv::{Errno, Pfn, SharedMem};
use pv::pagetable::{DirectMap, ENTRIES};
use spin::Once;
use xen_abi::shared_info::{MAX_PFN, PFN_TO_MFN_FRAME_LIST_LIST};

use crate::frame::Page;
use crate::mmu;
use crate::span::Span;
use crate::start::{page, shared_info};

/// What stands for a frame that the domain does not have (`INVALID_P2M_ENTRY`).
const MISSING: u64 = u64::MAX;

static LIST: Once<List> = Once::new();

struct List {
    /// The first level.
    top: Pfn,
    /// The second level, for all the frames that there is room for.
    middle: Vec<Pfn>,
    /// The first page of the builder's list.
    first: Pfn,
    /// How many pages it is.
    count: u64,
    /// The frames of the pages behind it; 0 where there is none yet.
    more: Vec<AtomicU64>,
}

/// Makes the list of a domain that has this direct map. The upper levels take a page, and one for
/// each GiB that there is room for: without them the domain cannot be saved. To be called once.
pub(crate) fn open(plan: &DirectMap, room: u64) {
    let Some(list) = List::new(plan, room) else {
        return;
    };
    let list = LIST.call_once(|| list);
    for pfn in (0..list.count * ENTRIES).map(Pfn) {
        if mmu::mfn(pfn).is_none() {
            list.set(pfn, MISSING);
        }
    }
}

/// Whether there is a list, without which the domain cannot be saved.
pub(crate) fn is_there() -> bool {
    LIST.get().is_some()
}

/// Sees to it that `pfn` can be listed, which may take one free frame for good.
///
/// # Errors
/// `ENOMEM`: no frame is free.
pub(crate) fn ensure_page(pfn: Pfn) -> Result<(), Errno> {
    let Some(list) = LIST.get() else {
        return Ok(());
    };
    let index = pfn.0 / ENTRIES;
    let Some(place) = list.more(index) else {
        return Ok(());
    };
    if place.load(Ordering::Relaxed) != 0 {
        return Ok(());
    }
    let leaf = Page::take().ok_or(Errno::ENOMEM)?.leak();
    place.store(leaf.0, Ordering::Relaxed);
    for pfn in (index * ENTRIES..(index + 1) * ENTRIES).map(Pfn) {
        list.set(pfn, MISSING);
    }
    list.link(index);
    list.publish();
    Ok(())
}

/// Lists the machine frame behind `pfn`, or that there is none.
pub(crate) fn set(pfn: Pfn, mfn: Option<u64>) {
    if let Some(list) = LIST.get() {
        list.set(pfn, mfn.unwrap_or(MISSING));
    }
}

/// Tells the toolstack where the list is: to be called whenever the shared info page is another.
pub(crate) fn publish() {
    if let Some(list) = LIST.get() {
        (0..list.pages()).for_each(|index| list.link(index));
        list.publish();
    }
}

impl List {
    fn new(plan: &DirectMap, room: u64) -> Option<Self> {
        let levels = room.div_ceil(ENTRIES * ENTRIES);
        let later = room.div_ceil(ENTRIES).checked_sub(plan.level1())?;
        let mut middle = Vec::new();
        middle
            .try_reserve_exact(usize::try_from(levels).ok()?)
            .ok()?;
        let mut more = Vec::new();
        let later = usize::try_from(later).ok()?;
        more.try_reserve_exact(later).ok()?;
        more.resize_with(later, AtomicU64::default);
        for _ in 0..levels {
            middle.push(Page::take()?.leak());
        }
        Some(Self {
            top: Page::take()?.leak(),
            middle,
            first: mmu::list_frame(),
            count: plan.level1(),
            more,
        })
    }

    /// Where the frame of page `index` is noted, if it is none of the builder's.
    fn more(&self, index: u64) -> Option<&AtomicU64> {
        let index = index.checked_sub(self.count)?;
        self.more.get(usize::try_from(index).ok()?)
    }

    /// The frame of page `index` of the list.
    fn leaf(&self, index: u64) -> Option<Pfn> {
        if index < self.count {
            return Some(Pfn(self.first.0 + index));
        }
        match self.more(index)?.load(Ordering::Relaxed) {
            0 => None,
            frame => Some(Pfn(frame)),
        }
    }

    /// How many pages there are in a row.
    fn pages(&self) -> u64 {
        let none = |place: &AtomicU64| place.load(Ordering::Relaxed) == 0;
        let later = self.more.iter().position(none).unwrap_or(self.more.len());
        self.count + later as u64
    }

    fn set(&self, pfn: Pfn, entry: u64) {
        if let Some(leaf) = self.leaf(pfn.0 / ENTRIES) {
            store(leaf, pfn.0 % ENTRIES, entry);
        }
    }

    /// Enters page `index` into the second level, and that into the first.
    fn link(&self, index: u64) {
        let above = index / ENTRIES;
        let middle = usize::try_from(above).ok();
        let middle = middle.and_then(|above| self.middle.get(above));
        let (Some(leaf), Some(middle)) = (self.leaf(index), middle) else {
            return;
        };
        let frames = mmu::mfn(leaf).zip(mmu::mfn(*middle));
        if let Some((leaf, frame)) = frames {
            store(*middle, index % ENTRIES, leaf);
            store(self.top, above, frame);
        }
    }

    fn publish(&self) {
        if let (Some(info), Some(top)) = (shared_info(), mmu::mfn(self.top)) {
            let info = page(info);
            info.store_u64(PFN_TO_MFN_FRAME_LIST_LIST, top);
            info.store_u64(MAX_PFN, self.pages() * ENTRIES);
        }
    }
}

/// Writes entry `index` of a page of the list.
fn store(frame: Pfn, index: u64, entry: u64) {
    // SAFETY: the list's pages are its own for good, and mapped writable.
    let page = unsafe { Span::new(mmu::address(frame), hv::PAGE_SIZE) };
    page.store_u64(index as usize * 8, entry);
}
