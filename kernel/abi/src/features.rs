//! `features.h`: bit numbers in the map that `XENVER_get_features` returns for submap 0.

/// Page tables may be written directly.
pub const WRITABLE_PAGE_TABLES: u32 = 0;
/// Descriptor tables may be written directly.
pub const WRITABLE_DESCRIPTOR_TABLES: u32 = 1;
/// Frame numbers are pseudo-physical everywhere.
pub const AUTO_TRANSLATED_PHYSMAP: u32 = 2;
/// The kernel runs in ring 0.
pub const SUPERVISOR_MODE_KERNEL: u32 = 3;
/// The top-level page table may lie above 4 GiB.
pub const PAE_PGDIR_ABOVE_4GB: u32 = 4;
/// `mmu_update` can preserve accessed and dirty bits.
pub const MMU_PT_UPDATE_PRESERVE_AD: u32 = 5;
/// A grant map request may carry page-table bits for the guest's own use.
pub const GNTTAB_MAP_AVAIL_BITS: u32 = 7;
