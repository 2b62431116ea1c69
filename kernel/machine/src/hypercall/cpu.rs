//! `set_trap_table`, `callback_op`, `set_segment_base`, `vcpu_op`: where Xen enters the domain, and
//! its vCPUs.
#![expect(unsafe_code, reason = "hypercalls")]

use hv::Errno;
use xen_abi::arch_x86::TrapInfo;
use xen_abi::callback::{CallbackRegister, REGISTER};
use xen_abi::vcpu::{
    DOWN, GET_RUNSTATE_INFO, GuestContext, INITIALISE, IS_UP, RunstateInfo, STOP_PERIODIC_TIMER, UP,
};
use xen_abi::xen::{CALLBACK_OP, SET_SEGMENT_BASE, SET_TRAP_TABLE, VCPU_OP};

use super::{hypercall, pointer};

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

/// Sets the base of a segment of this vCPU (`SEGBASE_*` of arch-x86/xen-x86_64.h).
pub(crate) fn set_segment_base(which: u64, base: u64) -> Result<(), Errno> {
    // SAFETY: the arguments are numbers; nothing of the kernel is found by segments but by `vcpu`.
    unsafe { hypercall(SET_SEGMENT_BASE, [which, base, 0, 0, 0]) }?;
    Ok(())
}

/// Whether a vCPU may run; `None` if the domain has none of this number.
pub(crate) fn is_up(number: u32) -> Option<bool> {
    // SAFETY: the arguments are numbers, and the operation changes nothing.
    let up = unsafe { hypercall(VCPU_OP, [IS_UP, u64::from(number), 0, 0, 0]) };
    up.ok().map(|up| up != 0)
}

/// Gives a vCPU its first registers.
///
/// # Errors
/// `EEXIST` if it has had them; Xen's.
///
/// # Safety
/// It may begin there, with that stack.
pub(crate) unsafe fn initialise(number: u32, context: &mut GuestContext) -> Result<(), Errno> {
    let arguments = [INITIALISE, u64::from(number), pointer(context), 0, 0];
    // SAFETY: Xen reads `context` only; the rest is the caller's promise.
    unsafe { hypercall(VCPU_OP, arguments) }?;
    Ok(())
}

/// Lets a vCPU run that has its first registers.
pub(crate) fn up(number: u32) {
    // SAFETY: the arguments are numbers; where it goes on was said before.
    let up = unsafe { hypercall(VCPU_OP, [UP, u64::from(number), 0, 0, 0]) };
    // It is not refused for one that has them; without it, what it has would stand still.
    assert!(up.is_ok(), "vCPU {number} cannot run: {up:?}");
}

/// Lets a vCPU run no more. Another one may go on for a moment.
pub(crate) fn down(number: u32) {
    // SAFETY: the arguments are numbers, and Xen touches no memory.
    let _there_is_such_a_vcpu = unsafe { hypercall(VCPU_OP, [DOWN, u64::from(number), 0, 0, 0]) };
}

/// What a vCPU does at this moment: `RUNSTATE_*` of vcpu.h.
pub(crate) fn state(number: u32) -> Option<i32> {
    let mut argument = RunstateInfo::default();
    let arguments = [
        GET_RUNSTATE_INFO,
        u64::from(number),
        pointer(&mut argument),
        0,
        0,
    ];
    // SAFETY: Xen writes `argument` only.
    let asked = unsafe { hypercall(VCPU_OP, arguments) };
    asked.ok().map(|_| argument.state)
}

/// Has Xen send this vCPU, which is `number`, no timer event of its own accord: from its start a
/// vCPU gets one every 10 ms that it runs.
pub(crate) fn stop_periodic_timer(number: u32) {
    // SAFETY: the arguments are numbers, and Xen touches no memory.
    let stopped = unsafe { hypercall(VCPU_OP, [STOP_PERIODIC_TIMER, u64::from(number), 0, 0, 0]) };
    // It cannot be refused for a vCPU that runs.
    debug_assert!(stopped.is_ok());
}
