//! `grant_table.h`: grant entries of version 1 and the operations on them.

/// Bytes of one entry: flags u16 at 0, domain u16 at 2, frame u32 at 4 (`grant_entry_v1_t`).
pub const ENTRY_SIZE: usize = 8;
/// In an entry, u16: `GTF_*`.
pub const ENTRY_FLAGS: usize = 0;
/// In an entry, u16: the domain that may use the grant.
pub const ENTRY_DOMID: usize = 2;
/// In an entry, u32: the machine frame granted.
pub const ENTRY_FRAME: usize = 4;
/// Entries in one page of the table.
pub const ENTRIES_PER_PAGE: u32 = 512;
/// Entries at the table's start that are not for general use (`GNTTAB_NR_RESERVED_ENTRIES`); the
/// first is the console's, the second xenstore's.
pub const RESERVED_ENTRIES: u32 = 8;

/// The entry grants nothing.
pub const GTF_INVALID: u16 = 0;
/// The domain may map the frame.
pub const GTF_PERMIT_ACCESS: u16 = 1;
/// The bits that say which of these an entry is.
pub const GTF_TYPE_MASK: u16 = 3;
/// The frame may only be read.
pub const GTF_READONLY: u16 = 4;
/// Set by Xen: the frame is mapped for reading.
pub const GTF_READING: u16 = 8;
/// Set by Xen: the frame is mapped for writing.
pub const GTF_WRITING: u16 = 16;

/// Map granted frames ([`MapGrantRef`]).
pub const MAP_GRANT_REF: u64 = 0;
/// Unmap them ([`UnmapGrantRef`]).
pub const UNMAP_GRANT_REF: u64 = 1;
/// Grow the own table and learn its frames ([`SetupTable`]).
pub const SETUP_TABLE: u64 = 2;
/// Copy between frames ([`struct@Copy`]).
pub const COPY: u64 = 5;
/// How large the table is ([`QuerySize`]).
pub const QUERY_SIZE: u64 = 6;
/// Choose the version of the entries ([`SetVersion`]).
pub const SET_VERSION: u64 = 8;

/// `MapGrantRef::flags`: map for the CPU.
pub const GNTMAP_HOST_MAP: u32 = 2;
/// `MapGrantRef::flags`: map for reading only.
pub const GNTMAP_READONLY: u32 = 4;
/// `MapGrantRef::flags`: `host_addr` is the machine address of a page-table entry.
pub const GNTMAP_CONTAINS_PTE: u32 = 16;

/// `Copy::flags`: the source is a grant.
pub const GNTCOPY_SOURCE_GREF: u16 = 1;
/// `Copy::flags`: the destination is a grant.
pub const GNTCOPY_DEST_GREF: u16 = 2;

/// The operation succeeded; failures are negative (`GNTST_*`).
pub const GNTST_OKAY: i16 = 0;
/// Not done for now: try again.
pub const GNTST_EAGAIN: i16 = -12;

/// `struct gnttab_map_grant_ref`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MapGrantRef {
    /// In: the virtual address to map at; its page table must exist.
    pub host_addr: u64,
    /// In: `GNTMAP_*`.
    pub flags: u32,
    /// In: the reference in the granting domain's table.
    pub gref: u32,
    /// In: the granting domain.
    pub dom: u16,
    /// Out: `GNTST_*`.
    pub status: i16,
    /// Out: what to name when unmapping.
    pub handle: u32,
    /// Out: the frame's machine address.
    pub dev_bus_addr: u64,
}

/// `struct gnttab_unmap_grant_ref`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct UnmapGrantRef {
    /// In: as it was mapped.
    pub host_addr: u64,
    /// In: 0.
    pub dev_bus_addr: u64,
    /// In: as the map returned it.
    pub handle: u32,
    /// Out: `GNTST_*`.
    pub status: i16,
}

/// `struct gnttab_setup_table`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SetupTable {
    /// In: `DOMID_SELF`.
    pub dom: u16,
    /// In: the pages the table shall have at least.
    pub nr_frames: u32,
    /// Out: `GNTST_*`.
    pub status: i16,
    /// In: the virtual address of an array that Xen fills with the pages' machine frames, 8 bytes
    /// each.
    pub frame_list: u64,
}

/// `struct gnttab_query_size`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct QuerySize {
    /// In: `DOMID_SELF`.
    pub dom: u16,
    /// Out: the table's pages now.
    pub nr_frames: u32,
    /// Out: the pages it may have.
    pub max_nr_frames: u32,
    /// Out: `GNTST_*`.
    pub status: i16,
}

/// One end of a [`struct@Copy`] (`struct gnttab_copy_ptr`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyPtr {
    /// A reference of `domid`, or a frame of its own.
    pub frame: u64,
    /// The domain.
    pub domid: u16,
    /// Where in the frame the bytes start.
    pub offset: u16,
}

/// `struct gnttab_copy`. The bytes must stay inside one frame at both ends.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Copy {
    /// In: where from.
    pub source: CopyPtr,
    /// In: where to.
    pub dest: CopyPtr,
    /// In: bytes.
    pub len: u16,
    /// In: `GNTCOPY_*`.
    pub flags: u16,
    /// Out: `GNTST_*`.
    pub status: i16,
}

/// `struct gnttab_set_version`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SetVersion {
    /// In: the version wanted, out: the version now.
    pub version: u32,
}
