//! The page tables: all memory mapped, the image protected, single pages of others.
//!
//! The address space has three parts. The *image window* at -2 GiB is the builder's; after
//! [`take_over`] it holds the image and what the builder brought, each page with no more rights
//! than it needs, and nothing else. The *direct map* holds all of the domain's memory. The *foreign
//! window* ([`window`](crate::window)) holds pages of other domains and of Xen.
//!
//! Page tables are read-only everywhere; Xen writes them, after it has checked what is written.
#![expect(unsafe_code, reason = "it changes what is mapped where")]

use core::ops::Range;

use hv::{Errno, Pfn, SharedMem};
use pv::pagetable::{self, DirectMap, ENTRIES};
use spin::Once;
use x86_64::VirtAddr;
use x86_64::structures::paging::PageTableFlags;
use xen_abi::arch_x86::MACH2PHYS_START;
use xen_abi::xen::{MMU_NORMAL_PT_UPDATE, MmuUpdate, StartInfo};

use crate::hypercall::mmu;
use crate::span::Span;
use crate::{direct, image};

/// Bytes in a page.
const PAGE: u64 = hv::PAGE_SIZE as u64;
/// Where the direct map starts: the first address above Xen's.
const DIRECT_BASE: u64 = 0xffff_8800_0000_0000;
/// Where the foreign window starts: the next level-3 table.
pub(crate) const WINDOW_BASE: u64 = 0xffff_8880_0000_0000;
/// Entries changed by one hypercall.
const BATCH: usize = 64;

/// A table: Xen adds the user bit, since a PV kernel runs in ring 3.
const TABLE: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::ACCESSED)
    .union(PageTableFlags::DIRTY);
/// Instructions.
const EXECUTE: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::ACCESSED)
    .union(PageTableFlags::DIRTY);
/// Constants and page tables.
const READ: PageTableFlags = EXECUTE.union(PageTableFlags::NO_EXECUTE);
/// Everything else.
pub(crate) const WRITE: PageTableFlags = READ.union(PageTableFlags::WRITABLE);

/// Registers of a device: what the CPU does not keep.
const DEVICE: PageTableFlags = WRITE
    .union(PageTableFlags::NO_CACHE)
    .union(PageTableFlags::WRITE_THROUGH);

/// The domain's frames as the builder listed them.
static FRAMES: Once<Frames> = Once::new();

struct Frames {
    /// The address of the builder's list: the machine frame of each pseudo-physical one.
    list: u64,
    /// How many frames it lists.
    total: u64,
    /// The frame of the level-4 table.
    top: u64,
    /// The first frame that the builder did not use.
    first_unused: u64,
    /// The first frame that the builder did not map.
    mapped: u64,
}

/// Why the domain's memory cannot be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapError {
    /// There is no room for the page tables.
    NoRoom,
    /// Xen refused.
    Xen(Errno),
}

impl From<Errno> for MapError {
    fn from(errno: Errno) -> Self {
        Self::Xen(errno)
    }
}

fn frames() -> &'static Frames {
    FRAMES
        .get()
        .expect("the list of frames is taken over first of all")
}

/// The machine frame behind `pfn`; `None` when the domain has no such frame.
pub(crate) fn mfn(pfn: Pfn) -> Option<u64> {
    direct::mfn(pfn).unwrap_or_else(|| listed(pfn))
}

/// The same by the builder's list, which is right until the direct map stands.
fn listed(pfn: Pfn) -> Option<u64> {
    let frames = frames();
    if pfn.0 >= frames.total {
        return None;
    }
    // SAFETY: the builder's list has an entry for each page, and stays mapped.
    let entry = unsafe { Span::new(frames.list + pfn.0 * 8, 8) };
    let mfn = entry.load_u64(0);
    // Where the domain has a hole, the builder wrote ~0.
    (mfn >> 52 == 0).then_some(mfn)
}

/// The frame of the level-4 table.
pub(crate) fn top() -> Pfn {
    Pfn(frames().top)
}

/// The address of `pfn` in the direct map.
pub(crate) fn address(pfn: Pfn) -> u64 {
    DIRECT_BASE + pfn.0 * PAGE
}

/// The address of a frame that the builder mapped, in the image window.
fn image_address(pfn: u64) -> u64 {
    image::BASE + pfn * PAGE
}

fn image_pfn(address: u64) -> u64 {
    (address - image::BASE) / PAGE
}

fn leaf(pfn: Pfn, flags: PageTableFlags) -> u64 {
    mfn(pfn).map_or(0, |mfn| pagetable::entry(mfn, flags.bits()))
}

/// Learns the domain's frames. `unused` is the first address that the builder did not use.
///
/// # Safety
/// To be called once, with what the builder passed, before anything else of the address space is
/// changed.
pub(crate) unsafe fn learn(info: &StartInfo, unused: u64) {
    let mut taken_over = Frames {
        list: info.mfn_list,
        total: info.nr_pages,
        top: image_pfn(info.pt_base),
        first_unused: image_pfn(unused.next_multiple_of(PAGE)),
        mapped: 0,
    };
    let limit = info.nr_pages;
    let mut mapped = taken_over.first_unused;
    while mapped < limit && slot(taken_over.top, image_address(mapped)).is_some_and(|at| at.1 != 0)
    {
        mapped += 1;
    }
    taken_over.mapped = mapped;
    FRAMES.call_once(|| taken_over);
}

/// The frame that Xen says machine frame `mfn` is.
pub(crate) fn pfn_of(mfn: u64) -> Pfn {
    let entry = core::ptr::with_exposed_provenance::<u64>((MACH2PHYS_START + mfn * 8) as usize);
    // SAFETY: Xen maps its table for every domain to read; `mfn` came from Xen.
    Pfn(unsafe { entry.read_volatile() })
}

/// The address of a page that the builder mapped into the image window, by its machine frame.
pub(crate) fn builder_page(mfn: u64) -> u64 {
    image_address(pfn_of(mfn).0)
}

/// The frame of a page that the builder mapped into the image window.
pub(crate) fn builder_frame(address: u64) -> Pfn {
    Pfn(image_pfn(address))
}

/// The first frame of the builder's list.
pub(crate) fn list_frame() -> Pfn {
    builder_frame(frames().list)
}

/// The machine address of the level-1 entry behind `address`, and the entry. `top` is the frame of
/// the level-4 table. Only for addresses whose tables the builder made: those in the image window.
fn slot(top: u64, address: u64) -> Option<(u64, u64)> {
    let address = VirtAddr::new(address);
    let indices = [
        address.p4_index(),
        address.p3_index(),
        address.p2_index(),
        address.p1_index(),
    ];
    let mut table = top;
    let mut machine = 0;
    let mut entry = 0;
    for (depth, index) in indices.into_iter().enumerate() {
        if depth > 0 {
            let frame = pagetable::frame_of(entry);
            table = pfn_of(frame).0;
            machine = frame * PAGE + u64::from(index) * 8;
        }
        // SAFETY: `table` is one of the builder's page tables, which it mapped; only Xen writes it.
        let span = unsafe { Span::new(image_address(table), hv::PAGE_SIZE) };
        entry = span.load_u64(usize::from(index) * 8);
        if entry & PageTableFlags::PRESENT.bits() == 0 && depth < 3 {
            return None;
        }
    }
    Some((machine, entry))
}

/// The frames that the direct map's tables leave free.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spare {
    /// The domain's frames.
    pub(crate) total: u64,
    /// How many there may be later.
    pub(crate) room: u64,
    /// The first frame the builder did not use.
    pub(crate) first: u64,
    /// Where the tables start.
    pub(crate) tables: u64,
    /// The first frame after the tables.
    pub(crate) after_tables: u64,
    /// The tables.
    pub(crate) plan: DirectMap,
}

/// Maps all of the domain's memory, and takes from the image window every right that nobody needs.
/// The domain may have `room` frames later; without memory for their tables, only those that it
/// has.
///
/// # Errors
/// There is no room for the tables, or Xen refuses one of them.
///
/// # Safety
/// To be called once, after [`learn`], before any unused frame is used.
pub(crate) unsafe fn take_over(room: u64) -> Result<Spare, MapError> {
    let frames = frames();
    let total = frames.total;
    let plan = |room| DirectMap::new(total, room, frames.first_unused, frames.mapped);
    let plan = plan(room)
        .or_else(|_| plan(total))
        .map_err(|_| MapError::NoRoom)?;
    map_all(&plan, frames)?;
    protect_image(frames)?;
    mmu::flush_tlb()?;
    let tables = plan.tables();
    Ok(Spare {
        total,
        room: plan.room(),
        first: frames.first_unused,
        tables: tables.start,
        after_tables: tables.end,
        plan,
    })
}

fn map_all(plan: &DirectMap, frames: &Frames) -> Result<(), MapError> {
    let tables = core::iter::once(plan.level3_frame())
        .chain((0..plan.level2()).map(|index| plan.level2_frame(index)));
    for table in tables {
        early_table(frames, table).fill(0, hv::PAGE_SIZE, 0);
        protect_early(frames, table)?;
    }
    let top = VirtAddr::new(DIRECT_BASE);
    write_entry(frames.top, u16::from(top.p4_index()), plan.level3_frame())?;
    for index in 0..plan.level2() {
        write_entry(plan.level3_frame(), index as u16, plan.level2_frame(index))?;
    }
    for index in 0..plan.level1() {
        let table = plan.level1_frame(index);
        let page = early_table(frames, table);
        let range = plan.mapped_by(index);
        for (slot, pfn) in (range.start.0..range.start.0 + ENTRIES).enumerate() {
            let pfn = Pfn(pfn);
            page.store_u64(slot * 8, direct_entry(plan, frames, &range, pfn));
        }
        protect_early(frames, table)?;
        let parent = plan.level2_frame(index / ENTRIES);
        write_entry(parent, (index % ENTRIES) as u16, table)?;
    }
    Ok(())
}

/// The direct map's entry for `pfn`; `range` is what its level-1 table maps.
fn direct_entry(plan: &DirectMap, frames: &Frames, range: &Range<Pfn>, pfn: Pfn) -> u64 {
    if pfn >= range.end {
        0
    } else if pfn.0 >= frames.mapped {
        // Nothing to protect lies beyond what the builder mapped; and there is a lot of it.
        leaf(pfn, WRITE)
    } else {
        leaf(pfn, direct_rights(plan, frames, pfn))
    }
}

/// What may be done with a frame through the direct map: nothing that the image window forbids.
fn direct_rights(plan: &DirectMap, frames: &Frames, pfn: Pfn) -> PageTableFlags {
    let constants = image::text().start..image::rodata().end;
    let in_image = pfn.0 < frames.first_unused;
    let address = image_address(pfn.0.min(frames.first_unused));
    let readable = in_image && (constants.contains(&address) || is_builder_table(frames, pfn));
    if readable || plan.is_table(pfn) {
        READ
    } else {
        WRITE
    }
}

/// Whether the builder made `pfn` a page table, which is known by its being mapped read-only.
fn is_builder_table(frames: &Frames, pfn: Pfn) -> bool {
    let entry = slot(frames.top, image_address(pfn.0)).map_or(0, |(_, entry)| entry);
    let flags = PageTableFlags::from_bits_truncate(entry);
    flags.contains(PageTableFlags::PRESENT) && !flags.contains(PageTableFlags::WRITABLE)
}

/// Where a table of the direct map can be written before it is one.
fn early_address(frames: &Frames, table: u64) -> u64 {
    if table < frames.mapped {
        image_address(table)
    } else {
        address(Pfn(table))
    }
}

fn early_table(frames: &Frames, table: u64) -> Span {
    // SAFETY: the frame is unused and mapped, as the plan made sure; the span is dropped before the
    // frame becomes a table.
    unsafe { Span::new(early_address(frames, table), hv::PAGE_SIZE) }
}

/// Takes away the right to write a frame that is to become a table.
fn protect_early(frames: &Frames, table: u64) -> Result<(), Errno> {
    let address = VirtAddr::new(early_address(frames, table));
    // SAFETY: the same frame stays mapped, and nobody writes it from now on.
    unsafe { mmu::update_va_mapping(address, leaf(Pfn(table), READ)) }
}

/// Makes `child` entry `index` of the table in frame `parent`.
fn write_entry(parent: u64, index: u16, child: u64) -> Result<(), Errno> {
    let parent = mfn(Pfn(parent)).ok_or(Errno::EINVAL)?;
    let mut update = [MmuUpdate {
        ptr: (parent * PAGE + u64::from(index) * 8) | MMU_NORMAL_PT_UPDATE,
        val: leaf(Pfn(child), TABLE),
    }];
    // SAFETY: the entry was empty, so nothing relied on it; Xen checks that the child is a table.
    unsafe { mmu::mmu_update(&mut update) }
}

/// Takes from the image window what nobody needs: writing text and constants, executing data, the
/// guard pages, and everything that the builder mapped but did not use.
fn protect_image(frames: &Frames) -> Result<(), MapError> {
    let mut batch = [MmuUpdate { ptr: 0, val: 0 }; BATCH];
    let mut count = 0;
    for pfn in 0..frames.mapped {
        let (machine, entry) = slot(frames.top, image_address(pfn)).ok_or(MapError::NoRoom)?;
        let Some(change) = batch.get_mut(count) else {
            continue;
        };
        change.ptr = machine | MMU_NORMAL_PT_UPDATE;
        change.val = image_entry(frames, pfn, entry);
        count += 1;
        if count == BATCH || pfn + 1 == frames.mapped {
            let (changes, _) = batch.split_at_mut(count);
            // SAFETY: what stays mapped keeps the rights it is used with; nobody uses the rest.
            unsafe { mmu::mmu_update(changes) }?;
            count = 0;
        }
    }
    Ok(())
}

/// What the image window holds at `pfn` from now on; `entry` is what it held.
fn image_entry(frames: &Frames, pfn: u64, entry: u64) -> u64 {
    let address = image_address(pfn);
    if pfn >= frames.first_unused || image::guards().contains(&address) {
        return 0;
    }
    let writable = PageTableFlags::from_bits_truncate(entry).contains(PageTableFlags::WRITABLE);
    let text = image::text();
    let flags = if (text.start..text.end.next_multiple_of(PAGE)).contains(&address) {
        EXECUTE
    } else if image::rodata().contains(&address) || !writable {
        READ
    } else {
        WRITE
    };
    leaf(Pfn(pfn), flags)
}

/// Makes a zeroed frame a page table, as entry `index` of the table in frame `parent` (`None`: of
/// the level-4 table).
///
/// # Errors
/// Xen's; the frame stays read-only then.
///
/// # Safety
/// The caller owns the frame and never writes it again; the entry is empty.
pub(crate) unsafe fn add_table(parent: Option<Pfn>, index: u16, frame: Pfn) -> Result<(), Errno> {
    let page = VirtAddr::new(address(frame));
    // SAFETY: the same frame stays mapped, and the caller does not write it.
    unsafe { mmu::update_va_mapping(page, leaf(frame, READ)) }?;
    write_entry(parent.map_or(frames().top, |pfn| pfn.0), index, frame.0)
}

/// Unmaps the page at `address`.
///
/// # Errors
/// Xen's; it is still mapped then.
///
/// # Safety
/// Nobody uses it until something is mapped there again.
pub(crate) unsafe fn unmap(address: u64) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { mmu::update_va_mapping(VirtAddr::new(address), 0) }
}

/// Maps machine frame `mfn`, writable, at `address`.
///
/// # Errors
/// Xen's: the frame is not the domain's to map.
///
/// # Safety
/// The caller owns the address, and nothing is mapped there; the frame is shared memory.
pub(crate) unsafe fn map_foreign(address: u64, mfn: u64) -> Result<(), Errno> {
    let entry = pagetable::entry(mfn, WRITE.bits());
    // SAFETY: the caller's promise.
    unsafe { mmu::update_va_mapping(VirtAddr::new(address), entry) }
}

/// The machine frames of the domain's memory.
pub(crate) fn memory() -> impl Iterator<Item = u64> {
    (0..direct::room()).filter_map(|pfn| mfn(Pfn(pfn)))
}

/// Maps machine frame `mfn`, a page of a device's registers, uncached, at `address`.
///
/// # Errors
/// Xen's: the frame is no device's that the domain was given.
///
/// # Safety
/// As for [`map_foreign`]; the frame is not [memory of the domain](memory), which Xen would map
/// as well.
pub(crate) unsafe fn map_device(address: u64, mfn: u64) -> Result<(), Errno> {
    let entry = pagetable::entry(mfn, DEVICE.bits());
    // SAFETY: the caller's promise.
    unsafe { mmu::update_va_mapping(VirtAddr::new(address), entry) }
}
