//! The direct map once it stands, and its changes: which machine frame is behind each of the
//! domain's.
//!
//! Its level-1 tables are the list of the domain's frames: what the builder's list said at start is
//! in them, and what the domain gives away or gets later changes nothing but an entry. So what is
//! mapped and what the domain has cannot disagree.
#![expect(unsafe_code, reason = "it changes what is mapped where")]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use hv::{Errno, Pfn, SharedMem};
use pv::pagetable::{self, DirectMap, ENTRIES};
use spin::Once;
use x86_64::structures::paging::PageTableFlags;
use xen_abi::xen::{MMU_NORMAL_PT_UPDATE, MmuUpdate};

use crate::frame::Page;
use crate::hypercall::mmu as call;
use crate::span::Span;
use crate::{mmu, p2m};

const PAGE: u64 = hv::PAGE_SIZE as u64;
/// Entries changed by one hypercall.
const BATCH: usize = 64;

static DIRECT: Once<Direct> = Once::new();

struct Direct {
    plan: DirectMap,
    /// The frames of the level-1 tables behind the plan's; 0 where there is none yet.
    more: Vec<AtomicU64>,
}

/// From now on the direct map's tables say which frames the domain has.
pub(crate) fn open(plan: DirectMap) {
    let wanted = plan.room().div_ceil(ENTRIES) - plan.level1();
    let mut more = Vec::new();
    // Without room for the list the domain does not grow beyond what it started with.
    if let Ok(wanted) = usize::try_from(wanted)
        && more.try_reserve_exact(wanted).is_ok()
    {
        more.resize_with(wanted, AtomicU64::default);
    }
    DIRECT.call_once(|| Direct { plan, more });
}

/// How many frames there is room for.
pub(crate) fn room() -> u64 {
    DIRECT.get().map_or(0, |direct| {
        let tables = direct.plan.level1() + direct.more.len() as u64;
        (tables * ENTRIES).min(direct.plan.room())
    })
}

/// The machine frame behind `pfn`: `None` when the domain has no such frame now; not `Some` before
/// [`open`].
pub(crate) fn mfn(pfn: Pfn) -> Option<Option<u64>> {
    Some(DIRECT.get()?.mfn(pfn))
}

impl Direct {
    fn more(&self, pfn: Pfn) -> Option<&AtomicU64> {
        let index = (pfn.0 / ENTRIES).checked_sub(self.plan.level1())?;
        self.more.get(usize::try_from(index).ok()?)
    }

    /// The frame of the level-1 table that maps `pfn`.
    fn table(&self, pfn: Pfn) -> Option<Pfn> {
        let index = pfn.0 / ENTRIES;
        if index < self.plan.level1() {
            return Some(Pfn(self.plan.level1_frame(index)));
        }
        match self.more(pfn)?.load(Ordering::Relaxed) {
            0 => None,
            frame => Some(Pfn(frame)),
        }
    }

    fn mfn(&self, pfn: Pfn) -> Option<u64> {
        let table = self.table(pfn)?;
        // SAFETY: page tables stay mapped for reading, and only Xen writes them.
        let span = unsafe { Span::new(mmu::address(table), hv::PAGE_SIZE) };
        let entry = span.load_u64((pfn.0 % ENTRIES) as usize * 8);
        let present = entry & PageTableFlags::PRESENT.bits() != 0;
        present.then(|| pagetable::frame_of(entry))
    }

    /// The machine address of the entry for `pfn`.
    fn place(&self, pfn: Pfn) -> Option<u64> {
        let table = self.mfn(self.table(pfn)?)?;
        Some(table * PAGE + pfn.0 % ENTRIES * 8)
    }
}

/// Sees to it that there is an entry for `pfn`, which may take one free frame for good.
///
/// # Errors
/// `EINVAL`: there is no room for such a frame; `ENOMEM`: no frame is free; Xen's.
pub(crate) fn ensure_table(pfn: Pfn) -> Result<(), Errno> {
    let direct = DIRECT.get().ok_or(Errno::EINVAL)?;
    if direct.table(pfn).is_some() {
        return Ok(());
    }
    p2m::ensure_page(pfn)?;
    let place = direct.more(pfn).ok_or(Errno::EINVAL)?;
    let frame = Page::take().ok_or(Errno::ENOMEM)?.leak();
    let index = pfn.0 / ENTRIES;
    let parent = Pfn(direct.plan.level2_frame(index / ENTRIES));
    // SAFETY: the page was taken for this, and there was no table, so the entry is empty.
    unsafe { mmu::add_table(Some(parent), (index % ENTRIES) as u16, frame) }?;
    place.store(frame.0, Ordering::Relaxed);
    Ok(())
}

/// Maps each frame to the machine frame beside it, writable; without a list of those, to none.
/// Entries that were in use are remembered by the processor until the TLB is flushed.
///
/// # Errors
/// Xen's; some of the entries may have been changed.
///
/// # Safety
/// Nobody uses the frames, and the machine frames are the domain's and mapped nowhere else.
#[inline(never)]
pub(crate) unsafe fn map(pfns: &[u64], mfns: Option<&[u64]>) -> Result<(), Errno> {
    let direct = DIRECT.get().ok_or(Errno::EINVAL)?;
    let mut batch = [MmuUpdate { ptr: 0, val: 0 }; BATCH];
    for (index, pfns) in pfns.chunks(BATCH).enumerate() {
        let mut mfns = mfns.into_iter().flatten().skip(index * BATCH);
        let mut count = 0;
        for (update, pfn) in batch.iter_mut().zip(pfns) {
            let place = direct.place(Pfn(*pfn)).ok_or(Errno::EINVAL)?;
            update.ptr = place | MMU_NORMAL_PT_UPDATE;
            update.val = mfns
                .next()
                .map_or(0, |mfn| pagetable::entry(*mfn, mmu::WRITE.bits()));
            count += 1;
        }
        let (updates, _) = batch.split_at_mut(count);
        // SAFETY: the caller's promise; what is no more mapped, nobody uses.
        unsafe { call::mmu_update(updates) }?;
        for (update, pfn) in updates.iter().zip(pfns) {
            let is_there = update.val != 0;
            p2m::set(Pfn(*pfn), is_there.then(|| pagetable::frame_of(update.val)));
        }
    }
    Ok(())
}
