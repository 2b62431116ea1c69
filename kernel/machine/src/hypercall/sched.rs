//! `sched_op` and `set_timer_op`: giving the CPU away, and ending.
#![expect(unsafe_code, reason = "hypercalls")]

use hv::Errno;
use xen_abi::sched::{BLOCK, REASON_SUSPEND, SHUTDOWN, Shutdown, WATCHDOG, Watchdog, YIELD};
use xen_abi::xen::{SCHED_OP, SET_TIMER_OP};

use super::{hypercall, pointer};

/// Unmasks events and gives the CPU away until one is pending. The upcall entry returns with events
/// masked again.
pub(crate) fn block() {
    // SAFETY: the operation has no argument; the upcall entry is registered before the first call.
    let _always_succeeds = unsafe { hypercall(SCHED_OP, [BLOCK, 0, 0, 0, 0]) };
}

/// Lets another vCPU run.
pub(crate) fn yield_cpu() {
    // SAFETY: the operation has no argument.
    let _always_succeeds = unsafe { hypercall(SCHED_OP, [YIELD, 0, 0, 0, 0]) };
}

/// Ends the domain.
pub(crate) fn shutdown(reason: u32) -> ! {
    let mut argument = Shutdown { reason };
    loop {
        let arguments = [SHUTDOWN, pointer(&mut argument), 0, 0, 0];
        // SAFETY: Xen reads `argument` only.
        let _does_not_return = unsafe { hypercall(SCHED_OP, arguments) };
    }
}

/// Suspends the domain, whose start_info is in this machine frame: the toolstack finds it where the
/// first vCPU has the third argument. Returns 0 in the next life, and 1 if it was cancelled, as the
/// ELF note `SUSPEND_CANCEL` asks for.
pub(crate) fn suspend(start_info: u64) -> Result<u64, Errno> {
    let mut argument = Shutdown {
        reason: REASON_SUSPEND,
    };
    let arguments = [SHUTDOWN, pointer(&mut argument), start_info, 0, 0];
    // SAFETY: Xen reads `argument` only; whoever saves the domain gives it back as it was.
    unsafe { hypercall(SCHED_OP, arguments) }
}

/// Arms (`id` 0) or feeds a watchdog that fires after `seconds`, or disarms it (`seconds` 0).
/// Returns its number; 0 when one was fed.
pub(crate) fn watchdog(id: u32, seconds: u32) -> Result<u64, Errno> {
    let mut argument = Watchdog {
        id,
        timeout: seconds,
    };
    let arguments = [WATCHDOG, pointer(&mut argument), 0, 0, 0];
    // SAFETY: Xen reads `argument` only.
    unsafe { hypercall(SCHED_OP, arguments) }
}

/// Asks for one `VIRQ_TIMER` at `system_time` nanoseconds; 0 asks for none.
pub(crate) fn set_timer(system_time: u64) {
    // SAFETY: the argument is a number.
    let _always_succeeds = unsafe { hypercall(SET_TIMER_OP, [system_time, 0, 0, 0, 0]) };
}
