//! `vcpu.h`: the domain's virtual CPUs.

/// The registers that a vCPU starts with.
pub use xen_sys::vcpu_guest_context as GuestContext;

/// `vcpu_op`: give a vCPU its first registers ([`GuestContext`]); once in each life of the domain.
pub const INITIALISE: u64 = 0;
/// `vcpu_op`: let it run.
pub const UP: u64 = 1;
/// `vcpu_op`: let it run no more. It may go on for a moment.
pub const DOWN: u64 = 2;
/// `vcpu_op`: 1 if it may run, 0 if not, an error if there is no such vCPU.
pub const IS_UP: u64 = 3;
/// `vcpu_op`: what it does ([`RunstateInfo`]).
pub const GET_RUNSTATE_INFO: u64 = 4;
/// `vcpu_op`: send it no timer event every 10 ms.
pub const STOP_PERIODIC_TIMER: u64 = 7;

/// `struct vcpu_runstate_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct RunstateInfo {
    /// [`RUNNING`], [`RUNNABLE`], or another number.
    pub state: i32,
    /// Since when, in nanoseconds of system time.
    pub state_entry_time: u64,
    /// The nanoseconds spent in each state.
    pub time: [u64; 4],
}

/// [`RunstateInfo::state`]: it runs now.
pub const RUNNING: i32 = 0;
/// [`RunstateInfo::state`]: it would run, but others do.
pub const RUNNABLE: i32 = 1;

/// `GuestContext::flags`: it starts in the kernel (`VGCF_in_kernel`).
pub const IN_KERNEL: u64 = xen_sys::VGCF_in_kernel as u64;
