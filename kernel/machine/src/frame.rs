//! The domain's frames, and pages made of them.
#![expect(unsafe_code, reason = "a page is memory that nobody else has")]

use core::ptr;

use hv::{Mfn, Pfn, SharedMem};
use pv::frames::FrameMap;

use crate::lock::Mutex;
use crate::mmu::{self, Spare};
use crate::span::{Span, shared_by_span};

/// Frames that only the heap may take: 256 KiB.
pub(crate) const HEAP_RESERVE: usize = 64;

static FRAMES: Mutex<Option<Frames>> = Mutex::new(None);

struct Frames {
    map: FrameMap<'static>,
    total: usize,
}

/// Frames of the domain: all, and those nobody has asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameUse {
    pub(crate) total: usize,
    pub(crate) free: usize,
}

/// Makes every spare frame available. The map of free frames, which has room for those that may
/// come later, takes the first of them.
///
/// # Safety
/// To be called once; the spare frames are mapped in the direct map, and nobody uses them.
pub(crate) unsafe fn init(spare: Spare) {
    let words = FrameMap::words_for(spare.room);
    let map_frames = words.div_ceil(hv::PAGE_SIZE / 8) as u64;
    let start = ptr::with_exposed_provenance_mut(mmu::address(Pfn(spare.after_tables)) as usize);
    // SAFETY: these frames are spare, mapped, and not made available below.
    let words = unsafe { core::slice::from_raw_parts_mut(start, words) };
    let mut map = FrameMap::new(words, spare.room);
    let free = spare.after_tables + map_frames..spare.total;
    for pfn in (spare.first..spare.tables).chain(free).map(Pfn) {
        if mmu::mfn(pfn).is_some() {
            map.release(pfn);
        }
    }
    let has = |pfn: &u64| mmu::mfn(Pfn(*pfn)).is_some();
    let total = (0..spare.total).filter(has).count();
    *FRAMES.lock() = Some(Frames { map, total });
}

/// The use of the domain's frames.
pub(crate) fn usage() -> FrameUse {
    FRAMES
        .lock()
        .as_ref()
        .map_or(FrameUse::default(), |frames| FrameUse {
            total: frames.total,
            free: frames.map.free(),
        })
}

/// Xen has taken so many frames, which were taken here before.
pub(crate) fn given(count: usize) {
    if let Some(frames) = FRAMES.lock().as_mut() {
        frames.total -= count;
    }
}

/// Xen has given these frames, which the domain did not have.
pub(crate) fn got(pfns: &[u64]) {
    if let Some(frames) = FRAMES.lock().as_mut() {
        for pfn in pfns {
            frames.total += 1;
            frames.map.release(Pfn(*pfn));
        }
    }
}

/// Takes a frame for a page. Leaves some for the heap: a page that is refused is an error value,
/// but memory that is refused ends the domain.
fn take() -> Option<Pfn> {
    let mut frames = FRAMES.lock();
    let map = &mut frames.as_mut()?.map;
    if map.free() > HEAP_RESERVE {
        map.take()
    } else {
        None
    }
}

/// Takes `count` frames in a row: at `at` if they are free there, else anywhere. `keep` frames must
/// be left. Returns the first.
pub(crate) fn take_run(at: Option<Pfn>, count: u64, keep: usize) -> Option<Pfn> {
    let mut frames = FRAMES.lock();
    let map = &mut frames.as_mut()?.map;
    let left = map.free().checked_sub(usize::try_from(count).ok()?)?;
    if left < keep {
        return None;
    }
    if let Some(at) = at
        && map.take_at(at, count)
    {
        return Some(at);
    }
    map.take_run(count)
}

/// Gives a frame back.
pub(crate) fn release(pfn: Pfn) {
    if let Some(frames) = FRAMES.lock().as_mut() {
        let released = frames.map.release(pfn);
        debug_assert!(released, "frame {pfn} was free already");
    }
}

/// A frame of the domain's own memory, mapped. Dropping it gives the frame back.
pub struct Page {
    pfn: Pfn,
    span: Span,
}

impl Page {
    /// Takes a page, filled with zeros.
    pub(crate) fn take() -> Option<Self> {
        // SAFETY: nobody has a frame that was free.
        let page = unsafe { Self::of(take()?) };
        page.span.fill(0, hv::PAGE_SIZE, 0);
        Some(page)
    }

    /// The page that a frame is.
    ///
    /// # Safety
    /// The frame is one of those that [`init`] made available, was taken, and is nobody else's.
    pub(crate) unsafe fn of(pfn: Pfn) -> Self {
        // SAFETY: the frame is mapped for good, and this page's alone until it is dropped.
        let span = unsafe { Span::new(mmu::address(pfn), hv::PAGE_SIZE) };
        Self { pfn, span }
    }

    /// The frame.
    pub(crate) fn pfn(&self) -> Pfn {
        self.pfn
    }

    /// The frame, which is never given back.
    pub(crate) fn leak(self) -> Pfn {
        let pfn = self.pfn;
        core::mem::forget(self);
        pfn
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        release(self.pfn);
    }
}

impl hv::Page for Page {
    fn mfn(&self) -> Mfn {
        // A page's frame was seen to have a machine frame when it was made available.
        Mfn(mmu::mfn(self.pfn).unwrap_or(u64::MAX))
    }
}

shared_by_span!(Page);
