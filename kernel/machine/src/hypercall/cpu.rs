//! `set_trap_table`, `callback_op`, `vcpu_op`: where Xen enters the domain, and its vCPUs.
#![expect(unsafe_code, reason = "hypercalls")]

use hv::Errno;
use xen_abi::arch_x86::TrapInfo;
use xen_abi::callback::{CallbackRegister, REGISTER};
use xen_abi::xen::{CALLBACK_OP, SET_TRAP_TABLE, VCPU_OP};

use super::{hypercall, pointer};

/// `VCPUOP_is_up` of vcpu.h: 1 or 0; an error when there is no such vCPU.
const VCPU_IS_UP: u64 = 3;

/// `VCPUOP_stop_periodic_timer` of vcpu.h.
const STOP_PERIODIC_TIMER: u64 = 7;

/// Registers the entries of exceptions.
///
/// # Safety
/// The table must end with an address of 0, and each address before it must be an entry point that
/// copes with Xen's frame for its vector.
pub(crate) unsafe fn set_trap_table(table: &mut [TrapInfo]) -> Result<(), Errno> {
    // SAFETY: Xen reads the table; what it enters is the caller's promise.
    unsafe { hypercall(SET_TRAP_TABLE, [pointer(table), 0, 0, 0, 0]) }?;
    Ok(())
}

/// Registers an entry that is no exception.
///
/// # Safety
/// The address must be an entry point that copes with Xen's frame.
pub(crate) unsafe fn register_callback(mut callback: CallbackRegister) -> Result<(), Errno> {
    let arguments = [REGISTER, pointer(&mut callback), 0, 0, 0];
    // SAFETY: Xen reads `callback`; what it enters is the caller's promise.
    unsafe { hypercall(CALLBACK_OP, arguments) }?;
    Ok(())
}

/// Whether the domain has a vCPU of this number.
pub(crate) fn has_vcpu(number: u32) -> bool {
    // SAFETY: the arguments are numbers, and the operation changes nothing.
    unsafe { hypercall(VCPU_OP, [VCPU_IS_UP, u64::from(number), 0, 0, 0]) }.is_ok()
}

/// Has Xen send the first vCPU no timer event of its own accord: from its start a vCPU gets one
/// every 10 ms that it runs.
pub(crate) fn stop_periodic_timer() {
    // SAFETY: the arguments are numbers, and Xen touches no memory.
    let stopped = unsafe { hypercall(VCPU_OP, [STOP_PERIODIC_TIMER, 0, 0, 0, 0]) };
    // It cannot be refused for a vCPU that runs.
    debug_assert!(stopped.is_ok());
}
