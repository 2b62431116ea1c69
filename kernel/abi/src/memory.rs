//! `memory.h`: the domain's memory.

/// Give frames back ([`Reservation`]); returns how many extents were done.
pub const DECREASE_RESERVATION: u64 = 1;
/// Returns the domain's frames; the argument is a [`Domain`].
pub const CURRENT_RESERVATION: u64 = 3;
/// Returns the frames the domain may have at most; the argument is a [`Domain`].
pub const MAXIMUM_RESERVATION: u64 = 4;
/// Get frames for pseudo-physical ones ([`Reservation`]); returns how many extents were done.
pub const POPULATE_PHYSMAP: u64 = 6;
/// What memory the domain was made to have at most ([`MemoryMap`]).
pub const MEMORY_MAP: u64 = 9;
/// Where the table from machine to pseudo-physical frames is ([`MachphysMapping`]).
pub const MACHPHYS_MAPPING: u64 = 12;

/// `struct xen_memory_reservation`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Reservation {
    /// The virtual address of an array of frame numbers, 8 bytes each.
    pub extent_start: u64,
    /// How many.
    pub nr_extents: u64,
    /// Each is 2^this many frames.
    pub extent_order: u32,
    /// `XENMEMF_*`, 0 for none.
    pub mem_flags: u32,
    /// Whose memory: `DOMID_SELF`.
    pub domid: u16,
}

/// `struct xen_memory_domain`, whose one field says which domain is meant.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Domain {
    /// `DOMID_SELF`.
    pub domid: u16,
}

/// `struct xen_memory_map`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryMap {
    /// How many entries the buffer has room for; then, how many there are in it.
    pub nr_entries: u32,
    /// The virtual address of the buffer: entries of [`E820_ENTRY`] bytes.
    pub buffer: u64,
}

/// Bytes of an entry as BIOS call 0xe820 has it: a 64-bit address, a 64-bit size, a 32-bit kind.
pub const E820_ENTRY: usize = 20;
/// The kind that is memory.
pub const E820_RAM: u32 = 1;

/// `struct xen_machphys_mapping`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MachphysMapping {
    /// The table's first virtual address.
    pub v_start: u64,
    /// The first one after it.
    pub v_end: u64,
    /// The last machine frame that can be looked up.
    pub max_mfn: u64,
}
