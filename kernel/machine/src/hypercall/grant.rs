//! `grant_table_op`: this domain's grant table, and pages that others granted.
#![expect(unsafe_code, reason = "hypercalls")]

use hv::Errno;
use xen_abi::grant_table::{
    COPY, Copy, MAP_GRANT_REF, MapGrantRef, QUERY_SIZE, QuerySize, SETUP_TABLE, SetupTable,
    UNMAP_GRANT_REF, UnmapGrantRef,
};
use xen_abi::xen::{DOMID_SELF, GRANT_TABLE_OP};

use super::{hypercall, pointer};

/// The table's size now and at most, in pages. Its `status` is to be looked at.
pub(crate) fn query_size() -> Result<QuerySize, Errno> {
    let mut argument = QuerySize {
        dom: DOMID_SELF,
        ..QuerySize::default()
    };
    let arguments = [QUERY_SIZE, pointer(&mut argument), 1, 0, 0];
    // SAFETY: Xen reads and writes `argument` only.
    unsafe { hypercall(GRANT_TABLE_OP, arguments) }?;
    Ok(argument)
}

/// Grows the table to `frames.len()` pages and stores their machine frames. Returns the status.
pub(crate) fn setup_table(frames: &mut [u64]) -> Result<i16, Errno> {
    let mut argument = SetupTable {
        dom: DOMID_SELF,
        nr_frames: u32::try_from(frames.len()).map_err(|_| Errno::EINVAL)?,
        status: 0,
        frame_list: pointer(frames),
    };
    let arguments = [SETUP_TABLE, pointer(&mut argument), 1, 0, 0];
    // SAFETY: Xen writes `argument` and as many frame numbers as `frames` has room for.
    unsafe { hypercall(GRANT_TABLE_OP, arguments) }?;
    Ok(argument.status)
}

/// Maps granted pages; each element has its own status afterwards.
///
/// # Safety
/// Every `host_addr` must be an address that the caller owns and nothing is mapped at.
pub(crate) unsafe fn map(batch: &mut [MapGrantRef]) -> Result<(), Errno> {
    let arguments = [MAP_GRANT_REF, pointer(batch), batch.len() as u64, 0, 0];
    // SAFETY: Xen reads and writes the batch; what it maps is the caller's promise.
    unsafe { hypercall(GRANT_TABLE_OP, arguments) }?;
    Ok(())
}

/// Unmaps a granted page. Its status is to be looked at.
///
/// # Safety
/// Nobody may use the mapping any more.
pub(crate) unsafe fn unmap(argument: &mut UnmapGrantRef) -> Result<(), Errno> {
    let arguments = [UNMAP_GRANT_REF, pointer(argument), 1, 0, 0];
    // SAFETY: Xen reads and writes `argument`; what it unmaps is the caller's promise.
    unsafe { hypercall(GRANT_TABLE_OP, arguments) }?;
    Ok(())
}

/// Copies between pages; each element has its own status afterwards.
///
/// # Safety
/// Every local end must be a page that is only accessed as shared memory.
pub(crate) unsafe fn copy(batch: &mut [Copy]) -> Result<(), Errno> {
    let arguments = [COPY, pointer(batch), batch.len() as u64, 0, 0];
    // SAFETY: Xen reads and writes the batch; where it copies to is the caller's promise.
    unsafe { hypercall(GRANT_TABLE_OP, arguments) }?;
    Ok(())
}
