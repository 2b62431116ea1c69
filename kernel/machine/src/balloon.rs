//! Giving memory to Xen, and getting it back.
#![expect(unsafe_code, reason = "it gives memory away")]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use hv::{Errno, Page as _, Pfn};

use crate::frame::{self, Page};
use crate::hypercall::{memory, mmu as call};
use crate::{direct, mmu};

/// Pages that one call gives or gets at most: their list lies on the stack.
const BATCH: usize = 128;

/// No frame below this one is missing.
static LOWEST: AtomicU64 = AtomicU64::new(0);

/// Gives the first pages of the list to Xen. They leave the list; the others stay, as they were.
/// Returns how many.
///
/// # Errors
/// Xen's; all pages stay then.
pub(crate) fn give(pages: &mut Vec<Page>) -> Result<usize, Errno> {
    let count = pages.len().min(BATCH);
    let (mut pfns, mut mfns) = ([0; BATCH], [0; BATCH]);
    for ((pfn, mfn), page) in pfns.iter_mut().zip(&mut mfns).zip(&*pages) {
        (*pfn, *mfn) = (page.pfn().0, page.mfn().0);
    }
    let (pfns, _) = pfns.split_at(count);
    let (mfns, _) = mfns.split_at_mut(count);
    // SAFETY: the pages are this function's alone, whose memory it does not touch meanwhile.
    let unmapped = unsafe { direct::map(pfns, None) }.and_then(|()| call::flush_tlb());
    // SAFETY: a page is mapped in the direct map only, from which these are gone.
    let given = unmapped.and_then(|()| unsafe { memory::decrease_reservation(mfns) });
    let done = given.unwrap_or(0).min(count);
    let ((gone, kept), (_, kept_at)) = (pfns.split_at(done), mfns.split_at(done));
    // SAFETY: these are still the domain's, each where it was.
    let restored = unsafe { direct::map(kept, Some(kept_at)) };
    // What is not mapped again is never used again.
    let leaving = if restored.is_ok() { done } else { count };
    pages.drain(..leaving).for_each(|page| _ = page.leak());
    frame::given(done);
    let lowest = gone.iter().min().map_or(u64::MAX, |lowest| *lowest);
    LOWEST.fetch_min(lowest, Ordering::Relaxed);
    given.map(|_| done)
}

/// Gets up to `count` pages from Xen, which are free then. Returns how many.
///
/// # Errors
/// Xen's; `ENOMEM` when there is no memory for page tables, or no room for more frames.
pub(crate) fn get(count: usize) -> Result<usize, Errno> {
    let mut pfns = [0; BATCH];
    let (wanted, _) = pfns.split_at_mut(count.min(BATCH));
    let found = missing(wanted)?;
    let mut mfns = pfns;
    let (mfns, _) = mfns.split_at_mut(found);
    let got = memory::populate_physmap(mfns)?.min(found);
    let ((pfns, _), (mfns, _)) = (pfns.split_at(got), mfns.split_at_mut(got));
    // SAFETY: nobody has these frames yet, and Xen has just given the machine frames.
    if let Err(errno) = unsafe { direct::map(pfns, Some(mfns)) } {
        // SAFETY: as before; nobody has seen them.
        let unmapped = unsafe { direct::map(pfns, None) };
        if unmapped.and_then(|()| call::flush_tlb()).is_ok() {
            // SAFETY: they are mapped nowhere any more.
            let _as_many_as_it_takes = unsafe { memory::decrease_reservation(mfns) };
        }
        return Err(errno);
    }
    frame::got(pfns);
    if let Some(last) = pfns.last() {
        LOWEST.store(last + 1, Ordering::Relaxed);
    }
    Ok(got)
}

/// Fills `pfns` with the lowest frames that the domain does not have, with page tables for each;
/// returns how many there are.
fn missing(pfns: &mut [u64]) -> Result<usize, Errno> {
    let mut found = 0;
    let frames = LOWEST.load(Ordering::Relaxed)..direct::room();
    let absent = frames.filter(|pfn| mmu::mfn(Pfn(*pfn)).is_none());
    for (place, pfn) in pfns.iter_mut().zip(absent) {
        match direct::ensure_table(Pfn(pfn)) {
            Ok(()) => *place = pfn,
            Err(_) if found > 0 => break,
            Err(errno) => return Err(errno),
        }
        found += 1;
    }
    if found == 0 {
        Err(Errno::ENOMEM)
    } else {
        Ok(found)
    }
}
