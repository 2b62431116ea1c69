//! Room for foreign pages, and the mappings in it.
#![expect(unsafe_code, reason = "it maps pages of others")]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use hv::{Errno, Pfn};
use pv::pagetable::{ENTRIES, device_frames};
use x86_64::VirtAddr;
use xen_abi::grant_table::{GNTST_OKAY, UnmapGrantRef};

use crate::frame::Page;
use crate::hypercall::grant;
use crate::lock::Mutex;
use crate::mmu::{self, WINDOW_BASE};
use crate::span::{Span, shared_by_span};

const PAGE: u64 = hv::PAGE_SIZE as u64;

/// Pages of other domains and of devices that are mapped.
static FOREIGN: AtomicUsize = AtomicUsize::new(0);

static WINDOW: Mutex<Window> = Mutex::new(Window {
    free: Vec::new(),
    level2: None,
    tables: 0,
});

/// Addresses that foreign pages can be mapped at: at most what one level-2 table covers, 262144
/// pages, which is as many as Xen tracks for a domain by default.
struct Window {
    /// Pages, counted from the window's start, that nothing is mapped at.
    free: Vec<u64>,
    level2: Option<Pfn>,
    /// Level-1 tables so far.
    tables: u16,
}

impl Window {
    fn take(&mut self) -> Option<u64> {
        if self.free.is_empty() {
            self.grow()?;
        }
        self.free.pop()
    }

    /// `pages` in a row.
    fn take_run(&mut self, pages: usize) -> Option<u64> {
        loop {
            // In descending order, as they are taken from the end.
            self.free.sort_unstable_by(|one, other| other.cmp(one));
            let is_run =
                |run: &[u64]| matches!(run, [last, .., first] if last - first == pages as u64 - 1);
            let found = match pages {
                0 => return None,
                1 => self.free.len().checked_sub(1),
                _ => self.free.windows(pages).rposition(is_run),
            };
            if let Some(at) = found {
                let first = self.free.get(at + pages - 1).copied();
                self.free.drain(at..at + pages);
                return first;
            }
            self.grow()?;
        }
    }

    /// Adds a level-1 table. The list of free pages gets its room now, so that giving an address
    /// back never needs memory.
    fn grow(&mut self) -> Option<()> {
        if u64::from(self.tables) == ENTRIES {
            return None;
        }
        let first = u64::from(self.tables) * ENTRIES;
        let total = usize::try_from(first + ENTRIES).ok()?;
        self.free
            .try_reserve_exact(total.saturating_sub(self.free.len()))
            .ok()?;
        let level2 = match self.level2 {
            Some(level2) => level2,
            None => Self::root()?,
        };
        self.level2 = Some(level2);
        let table = Page::take()?.leak();
        // SAFETY: the page was taken for this, and the entry is empty.
        unsafe { mmu::add_table(Some(level2), self.tables, table) }.ok()?;
        self.tables += 1;
        self.free.extend((first..first + ENTRIES).rev());
        Some(())
    }

    /// Makes the window's level-3 and level-2 tables.
    fn root() -> Option<Pfn> {
        let start = VirtAddr::new(WINDOW_BASE);
        let level3 = Page::take()?.leak();
        // SAFETY: the page was taken for this, and nothing else is mapped in this slot.
        unsafe { mmu::add_table(None, u16::from(start.p4_index()), level3) }.ok()?;
        let level2 = Page::take()?.leak();
        // SAFETY: as before.
        unsafe { mmu::add_table(Some(level3), u16::from(start.p3_index()), level2) }.ok()?;
        Some(level2)
    }
}

/// Whether any page of another domain or of a device is mapped.
pub(crate) fn has_foreign_pages() -> bool {
    FOREIGN.load(Ordering::Relaxed) != 0
}

/// The address of one page in the window, with nothing mapped there. Dropping it makes the address
/// available again.
pub(crate) struct Slot {
    page: u64,
}

impl Slot {
    /// Takes an address; `None` when there is no memory or no room left.
    pub(crate) fn take() -> Option<Self> {
        let page = WINDOW.lock().take()?;
        Some(Self { page })
    }

    pub(crate) fn address(&self) -> u64 {
        WINDOW_BASE + self.page * PAGE
    }

    /// Maps Xen's machine frame `mfn` here for good.
    ///
    /// # Errors
    /// Xen's; the address is available again then.
    ///
    /// # Safety
    /// Xen shares the frame with this domain for as long as it runs.
    pub(crate) unsafe fn map_shared(self, mfn: u64) -> Result<Mapping, Errno> {
        let address = self.address();
        // SAFETY: the slot is ours and empty; the frame is the caller's promise.
        unsafe { mmu::map_foreign(address, mfn) }?;
        core::mem::forget(self);
        // SAFETY: the frame stays mapped, since the slot is never given back.
        Ok(unsafe { Mapping::fixed(address) })
    }

    /// The mapping of the page that Xen has mapped here by grant.
    ///
    /// # Safety
    /// Xen returned `handle` when it mapped a granted page at this slot's address.
    pub(crate) unsafe fn granted(self, handle: u32) -> Mapping {
        FOREIGN.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the page is mapped until `Mapping::drop` unmaps it.
        let span = unsafe { Span::new(self.address(), hv::PAGE_SIZE) };
        let held = Held::Granted(Granted {
            slot: Some(self),
            handle,
        });
        Mapping { span, held }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        WINDOW.lock().free.push(self.page);
    }
}

/// Addresses of pages in a row, with a device's registers mapped at the first `mapped` of them.
/// Dropping it unmaps those and makes the addresses available again.
pub(crate) struct Run {
    first: u64,
    pages: u64,
    mapped: u64,
}

impl Run {
    /// Maps `pages` pages of a device's registers from machine address `machine` on.
    pub(crate) fn map_device(machine: u64, pages: usize) -> Result<Mapping, Errno> {
        let frames = device_frames(machine, pages, mmu::memory())?;
        let page = WINDOW.lock().take_run(pages).ok_or(Errno::ENOMEM)?;
        FOREIGN.fetch_add(pages, Ordering::Relaxed);
        let mut run = Self {
            first: page,
            pages: pages as u64,
            mapped: 0,
        };
        for frame in frames {
            let address = run.address(run.mapped);
            // SAFETY: the addresses are the run's own and empty; the frames are not memory.
            unsafe { mmu::map_device(address, frame) }?;
            run.mapped += 1;
        }
        let length = pages * hv::PAGE_SIZE;
        // SAFETY: the pages are mapped until `Run::drop` unmaps them; no reference is made to them.
        let span = unsafe { Span::new(run.address(0), length) };
        let held = Held::Device(run);
        Ok(Mapping { span, held })
    }

    fn address(&self, index: u64) -> u64 {
        WINDOW_BASE + (self.first + index) * PAGE
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut window = WINDOW.lock();
        for index in (0..self.pages).rev() {
            // SAFETY: the mapping is being dropped, so nobody uses it.
            let unmapped =
                index >= self.mapped || unsafe { mmu::unmap(self.address(index)) }.is_ok();
            // An address with something mapped at it must not be used again.
            if unmapped {
                FOREIGN.fetch_sub(1, Ordering::Relaxed);
                window.free.push(self.first + index);
            }
        }
    }
}

/// Addresses of pages in a row, with nothing mapped there; taken for good.
pub(crate) struct Stretch {
    first: u64,
}

impl Stretch {
    /// Takes `pages` of them; `None` when there is no memory or no room left.
    pub(crate) fn take(pages: usize) -> Option<Self> {
        let first = WINDOW.lock().take_run(pages)?;
        Some(Self { first })
    }

    /// The address of one of them.
    pub(crate) fn address(&self, index: u64) -> u64 {
        WINDOW_BASE + (self.first + index) * PAGE
    }
}

struct Granted {
    slot: Option<Slot>,
    handle: u32,
}

/// What a mapping is, and what ends with it.
enum Held {
    /// It stays.
    Fixed,
    Granted(Granted),
    Device(#[expect(dead_code, reason = "it is only dropped")] Run),
}

/// Memory that Xen or another domain owns, or a device's registers. Dropping a granted page or
/// registers unmaps them; a page that Xen shares stays mapped.
pub struct Mapping {
    span: Span,
    held: Held,
}

impl Mapping {
    /// A page that stays mapped at `address`.
    ///
    /// # Safety
    /// It does stay mapped, and nobody has a reference into it.
    pub(crate) unsafe fn fixed(address: u64) -> Self {
        // SAFETY: the caller's promise.
        let span = unsafe { Span::new(address, hv::PAGE_SIZE) };
        let held = Held::Fixed;
        Self { span, held }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let Held::Granted(grant) = &mut self.held else {
            return;
        };
        let Some(slot) = grant.slot.take() else {
            return;
        };
        let mut unmap = UnmapGrantRef {
            host_addr: slot.address(),
            handle: grant.handle,
            ..UnmapGrantRef::default()
        };
        // SAFETY: the mapping is being dropped, so nobody uses it.
        let done = unsafe { grant::unmap(&mut unmap) };
        if done.is_err() || unmap.status != GNTST_OKAY {
            // Something is still mapped there: the address must not be used again.
            core::mem::forget(slot);
            return;
        }
        FOREIGN.fetch_sub(1, Ordering::Relaxed);
    }
}

shared_by_span!(Mapping);
