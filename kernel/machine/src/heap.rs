//! The global allocator: a boot heap inside the image, then a main heap that grows from frames.
//!
//! The boot heap (`linked_list_allocator`: no metadata to set up) serves what is allocated before
//! the domain's memory is mapped. The main heap (`talc`: fast with many live objects) grows in
//! steps, in place where the frames behind it are free, and keeps a reserve of frames for pages.
#![expect(unsafe_code, reason = "the global allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

use hv::Pfn;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;
use talc::{DefaultBinning, TalcLock};

use crate::lock::Mutex;
use crate::{frame, mmu};

const PAGE: usize = hv::PAGE_SIZE;
/// Bytes of the boot heap.
const BOOT_BYTES: usize = 16 * 1024;
/// Frames the main heap grows by at least: 256 KiB.
const STEP: usize = 64;
/// Frames the main heap leaves for pages: one in this many.
const RESERVE: usize = 8;

#[global_allocator]
static HEAP: Heap = Heap {
    main_ready: AtomicBool::new(false),
    boot: Mutex::new(linked_list_allocator::Heap::empty()),
    main: TalcLock::new(FromFrames { end: None }),
};

static BOOT_MEMORY: BootMemory = BootMemory(UnsafeCell::new([0; BOOT_BYTES]));

#[repr(align(16))]
struct BootMemory(UnsafeCell<[u8; BOOT_BYTES]>);

// SAFETY: the boot heap alone uses the memory, behind its lock.
unsafe impl Sync for BootMemory {}

struct Heap {
    main_ready: AtomicBool,
    boot: Mutex<linked_list_allocator::Heap>,
    main: TalcLock<Mutex<()>, FromFrames>,
}

/// Bytes the heaps span, and bytes of them in use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeapUse {
    pub(crate) size: usize,
    pub(crate) used: usize,
}

/// Opens the boot heap.
///
/// # Safety
/// To be called once.
pub(crate) unsafe fn open_boot() {
    let memory = BOOT_MEMORY.0.get().cast();
    // SAFETY: the memory is the boot heap's alone, and opened once.
    unsafe { HEAP.boot.lock().init(memory, BOOT_BYTES) };
}

/// Opens the main heap: from now on the domain's frames serve allocations.
pub(crate) fn open_main() {
    HEAP.main_ready.store(true, Ordering::Relaxed);
}

/// The use of both heaps.
pub(crate) fn usage() -> HeapUse {
    let boot = HEAP.boot.lock().used();
    let main = HEAP.main.lock();
    let counters = main.counters();
    HeapUse {
        size: BOOT_BYTES + counters.claimed_bytes,
        used: boot + counters.allocated_bytes,
    }
}

/// Bytes the main heap can still take: free in it, or of frames that it may have.
pub(crate) fn room() -> usize {
    let frames = frame::usage();
    let own = {
        let main = HEAP.main.lock();
        let counters = main.counters();
        counters
            .claimed_bytes
            .saturating_sub(counters.allocated_bytes)
    };
    let more = frames.free.saturating_sub(kept(frames.total));
    own + more * PAGE
}

/// Of so many frames, those the main heap leaves for pages.
fn kept(total: usize) -> usize {
    total / RESERVE
}

fn is_boot(pointer: *mut u8) -> bool {
    let start = BOOT_MEMORY.0.get().addr();
    (start..start + BOOT_BYTES).contains(&pointer.addr())
}

// SAFETY: both heaps keep GlobalAlloc's contract; memory goes back to the heap it came from, which
// its address tells.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.main_ready.load(Ordering::Relaxed) {
            // SAFETY: the caller keeps GlobalAlloc's contract.
            return unsafe { self.main.alloc(layout) };
        }
        let place = self.boot.lock().allocate_first_fit(layout);
        place.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !is_boot(pointer) {
            // SAFETY: the memory came from the main heap, with this layout.
            unsafe { self.main.dealloc(pointer, layout) };
        } else if let Some(place) = NonNull::new(pointer) {
            // SAFETY: the memory came from the boot heap, with this layout.
            unsafe { self.boot.lock().deallocate(place, layout) };
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_boot(pointer) {
            // SAFETY: the memory came from the main heap, with this layout.
            return unsafe { self.main.realloc(pointer, layout, size) };
        }
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller promises that `size` is not 0.
        let place = unsafe { self.alloc(wanted) };
        if !place.is_null() {
            let kept = layout.size().min(size);
            // SAFETY: both ends have this many bytes, and the new one is fresh.
            unsafe { ptr::copy_nonoverlapping(pointer, place, kept) };
            // SAFETY: the caller gives `pointer` up, now that its bytes are copied.
            unsafe { self.dealloc(pointer, layout) };
        }
        place
    }
}

/// Where the main heap gets its memory.
#[derive(Debug)]
struct FromFrames {
    /// The end of the part of the heap that grew last.
    end: Option<usize>,
}

/// The frame whose memory starts at `address` of the direct map.
fn frame_at(address: usize) -> Pfn {
    Pfn((address as u64 - mmu::address(Pfn(0))) / PAGE as u64)
}

impl FromFrames {
    /// Takes frames for `layout`, where the heap ends if they are free there: where they start, and
    /// how many they are.
    fn take(&self, layout: Layout) -> Option<(usize, usize)> {
        // The first part also holds the heap's own lists; alignment may cost its own size.
        let own = talc::min_first_heap_size::<DefaultBinning>();
        let bytes = layout
            .size()
            .checked_add(layout.align())?
            .checked_add(own)?;
        let needed = bytes.div_ceil(PAGE);
        let keep = kept(frame::usage().total);
        let at = self.end.map(frame_at);
        let attempt = |count: usize| {
            let first = frame::take_run(at, count as u64, keep)?;
            Some((mmu::address(first) as usize, count))
        };
        attempt(needed.max(STEP)).or_else(|| attempt(needed))
    }
}

// SAFETY: nothing here allocates.
unsafe impl Source for FromFrames {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let (start, count) = talc.source.take(layout).ok_or(())?;
        let base = ptr::with_exposed_provenance_mut::<u8>(start);
        let size = count * PAGE;
        let end = match talc
            .source
            .end
            .map(ptr::with_exposed_provenance_mut)
            .and_then(NonNull::new)
        {
            Some(end) if end.addr().get() == start => {
                // SAFETY: the frames were taken for the heap, and follow its end.
                unsafe { talc.extend(end, base.wrapping_add(size)) }
            }
            // SAFETY: the frames were taken for the heap.
            _ => unsafe { talc.claim(base, size) }.ok_or(())?,
        };
        talc.source.end = Some(end.as_ptr().expose_provenance());
        Ok(())
    }
}
