//! `mmu_update`, `update_va_mapping`, `mmuext_op`: page tables.
#![expect(unsafe_code, reason = "hypercalls")]

use hv::Errno;
use x86_64::VirtAddr;
use xen_abi::xen::{
    DOMID_SELF, MMU_UPDATE, MMUEXT_OP, MMUEXT_TLB_FLUSH_ALL, MmuUpdate, MmuextOp,
    UPDATE_VA_MAPPING, UVMF_ALL, UVMF_INVLPG,
};

use super::{hypercall, pointer};

/// Replaces the page-table entry behind `address`, and has every vCPU forget the old one.
///
/// # Safety
/// Nobody may rely on what the old entry maps there, and what the new one maps must be the caller's
/// to give out.
pub(crate) unsafe fn update_va_mapping(address: VirtAddr, entry: u64) -> Result<(), Errno> {
    let arguments = [address.as_u64(), entry, UVMF_INVLPG | UVMF_ALL, 0, 0];
    // SAFETY: the arguments are numbers; what they change is the caller's promise.
    unsafe { hypercall(UPDATE_VA_MAPPING, arguments) }?;
    Ok(())
}

/// Replaces page-table entries at machine addresses.
///
/// # Safety
/// As for [`update_va_mapping`], for each element; and the TLB must be flushed if an entry was in
/// use.
pub(crate) unsafe fn mmu_update(batch: &mut [MmuUpdate]) -> Result<(), Errno> {
    let count = batch.len() as u64;
    let arguments = [pointer(batch), count, 0, u64::from(DOMID_SELF), 0];
    // SAFETY: Xen reads the batch; what it changes is the caller's promise.
    unsafe { hypercall(MMU_UPDATE, arguments) }?;
    Ok(())
}

/// Has every vCPU forget every translation.
pub(crate) fn flush_tlb() -> Result<(), Errno> {
    let mut argument = MmuextOp {
        cmd: MMUEXT_TLB_FLUSH_ALL,
        ..MmuextOp::default()
    };
    let arguments = [pointer(&mut argument), 1, 0, u64::from(DOMID_SELF), 0];
    // SAFETY: Xen reads `argument` only.
    unsafe { hypercall(MMUEXT_OP, arguments) }?;
    Ok(())
}
