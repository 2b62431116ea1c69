//! Where the page tables of a map of all memory go, and what may stand in page tables.
//!
//! The domain builder maps only the image and what it brings along. The rest is mapped once, at
//! start, into a window of its own, the direct map: frame `pfn` at `base + pfn * 4096`. Its page
//! tables need frames, which must be written while they are still ordinary memory; so they are
//! taken from what the builder mapped, and when that is used up from what the first tables map.

use core::ops::Range;

use hv::{Errno, PAGE_SIZE, Pfn};

/// Entries in a page table.
pub const ENTRIES: u64 = 512;
/// Bits of an entry that hold the machine frame number, shifted by 12.
const FRAME_BITS: u64 = 0x000f_ffff_ffff_f000;

/// A page-table entry: machine frame `mfn` with `flags`.
#[must_use]
pub fn entry(mfn: u64, flags: u64) -> u64 {
    mfn << 12 & FRAME_BITS | flags
}

/// The machine frame number of a page-table entry.
#[must_use]
pub fn frame_of(entry: u64) -> u64 {
    (entry & FRAME_BITS) >> 12
}

/// The machine frames of `pages` pages of a device's registers from machine address `address` on,
/// if they may be mapped: both may be anything that a backend says. `memory` is the machine frames
/// of the domain's own memory, which Xen would map as well.
///
/// # Errors
/// `EINVAL`: the address does not begin a page, there are no pages or more than a table has entries
/// for, an entry cannot name them, or one of them is memory.
pub fn device_frames(
    address: u64,
    pages: usize,
    memory: impl IntoIterator<Item = u64>,
) -> Result<Range<u64>, Errno> {
    let (page, count) = (PAGE_SIZE as u64, pages as u64);
    let first = address / page;
    let frames = first..first.saturating_add(count);
    let fits = (1..=ENTRIES).contains(&count) && frames.end <= frame_of(FRAME_BITS) + 1;
    let is_memory = || memory.into_iter().any(|mfn| frames.contains(&mfn));
    if !fits || !address.is_multiple_of(page) || is_memory() {
        return Err(Errno::EINVAL);
    }
    Ok(frames)
}

/// Frames for the tables of a direct map: one level-3 table, then the level-2 tables, then the
/// level-1 tables, all in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectMap {
    frames: u64,
    room: u64,
    first: u64,
    mapped: u64,
}

/// The domain's memory cannot be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The tables do not fit into what the builder mapped and what they map themselves.
    Tables,
    /// There are to be more frames than one level-3 table maps (512 GiB).
    Window,
}

impl DirectMap {
    /// A plan for `frames` frames, of which the builder mapped those below `mapped`; frames from
    /// `first` on are unused. The level-2 tables are for `room` frames, as many as there may be
    /// later: their level-1 tables are not planned.
    ///
    /// # Errors
    /// [`NoRoom`]: what cannot be mapped.
    pub fn new(frames: u64, room: u64, first: u64, mapped: u64) -> Result<Self, NoRoom> {
        let plan = Self {
            frames,
            room: room.max(frames),
            first,
            mapped,
        };
        if plan.level2() > ENTRIES {
            return Err(NoRoom::Window);
        }
        let tables = plan.tables();
        let whole = tables.end <= frames && plan.level1_frame(0) < mapped;
        // A level-1 table beyond the builder's map is written through the direct map, so the
        // level-1 table that maps it must come before it.
        let reachable = (0..plan.level1()).all(|index| {
            let frame = plan.level1_frame(index);
            frame < mapped || frame / ENTRIES < index
        });
        if whole && reachable {
            Ok(plan)
        } else {
            Err(NoRoom::Tables)
        }
    }

    /// How many frames the level-2 tables are for.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.room
    }

    /// How many level-1 tables there are.
    #[must_use]
    pub fn level1(&self) -> u64 {
        self.frames.div_ceil(ENTRIES)
    }

    /// How many level-2 tables there are.
    #[must_use]
    pub fn level2(&self) -> u64 {
        self.room.div_ceil(ENTRIES * ENTRIES)
    }

    /// Every frame that becomes a table.
    #[must_use]
    pub fn tables(&self) -> Range<u64> {
        self.first..self.first + 1 + self.level2() + self.level1()
    }

    /// The level-3 table's frame.
    #[must_use]
    pub fn level3_frame(&self) -> u64 {
        self.first
    }

    /// The frame of the level-2 table `index`.
    #[must_use]
    pub fn level2_frame(&self, index: u64) -> u64 {
        self.first + 1 + index
    }

    /// The frame of the level-1 table `index`.
    #[must_use]
    pub fn level1_frame(&self, index: u64) -> u64 {
        self.first + 1 + self.level2() + index
    }

    /// The frames that the level-1 table `index` maps.
    #[must_use]
    pub fn mapped_by(&self, index: u64) -> Range<Pfn> {
        let start = index * ENTRIES;
        Pfn(start)..Pfn((start + ENTRIES).min(self.frames))
    }

    /// Whether `pfn` must be mapped read-only when its level-1 table is installed, since it is, or
    /// is about to become, a table. Tables beyond the builder's map are written through this very
    /// map first, and protected one by one.
    #[must_use]
    pub fn is_table(&self, pfn: Pfn) -> bool {
        self.tables().contains(&pfn.0) && pfn.0 < self.mapped
    }
}

#[cfg(test)]
mod tests;
