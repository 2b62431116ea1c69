//! `memory_op`: which memory the domain has.
#![expect(unsafe_code, reason = "hypercalls")]

use hv::Errno;
use xen_abi::memory::{
    DECREASE_RESERVATION, E820_ENTRY, E820_RAM, MEMORY_MAP, MemoryMap, POPULATE_PHYSMAP,
    Reservation,
};
use xen_abi::xen::{DOMID_SELF, MEMORY_OP};

use super::{hypercall, pointer};

/// Entries of the memory map that are looked at: the memory that begins at 0 is the first.
const ENTRIES: usize = 4;

fn reservation(frames: &mut [u64]) -> Reservation {
    Reservation {
        extent_start: pointer(frames),
        nr_extents: frames.len() as u64,
        domid: DOMID_SELF,
        ..Reservation::default()
    }
}

/// Gives machine frames back, the first of them first; returns how many Xen took.
///
/// # Safety
/// The frames are mapped nowhere, and nobody uses them.
pub(crate) unsafe fn decrease_reservation(mfns: &mut [u64]) -> Result<usize, Errno> {
    let mut argument = reservation(mfns);
    let arguments = [DECREASE_RESERVATION, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads `argument` and the list; what it takes is the caller's promise.
    let done = unsafe { hypercall(MEMORY_OP, arguments) }?;
    Ok(done as usize)
}

/// Gets machine frames for the pseudo-physical ones in `frames`, the first of them first; returns
/// for how many. These have their machine frames in the list then, and Xen's table from machine to
/// pseudo-physical frames knows them.
pub(crate) fn populate_physmap(frames: &mut [u64]) -> Result<usize, Errno> {
    let mut argument = reservation(frames);
    let arguments = [POPULATE_PHYSMAP, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads `argument`, and reads and writes the list; new memory is nobody's yet.
    let done = unsafe { hypercall(MEMORY_OP, arguments) }?;
    Ok(done as usize)
}

/// The frames that the domain may ever have: `maxmem` of xl.cfg, and a little more. None if the
/// toolstack has not said.
pub(crate) fn most_frames() -> Option<u64> {
    let mut entries = [0u8; ENTRIES * E820_ENTRY];
    let mut argument = MemoryMap {
        nr_entries: ENTRIES as u32,
        buffer: pointer(&mut entries),
    };
    let arguments = [MEMORY_MAP, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads and writes `argument`, and as many entries as there is room for.
    unsafe { hypercall(MEMORY_OP, arguments) }.ok()?;
    let written = (argument.nr_entries as usize).min(ENTRIES) * E820_ENTRY;
    let (written, _) = entries.split_at_checked(written)?;
    written.chunks_exact(E820_ENTRY).find_map(|entry| {
        let (address, rest) = entry.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (kind, _) = rest.split_first_chunk()?;
        let from_zero = u64::from_le_bytes(*address) == 0;
        let is_ram = u32::from_le_bytes(*kind) == E820_RAM;
        (from_zero && is_ram).then_some(u64::from_le_bytes(*size) / hv::PAGE_SIZE as u64)
    })
}
