//! `sched.h`: giving the CPU away, and ending.

pub use xen_sys::sched_poll as Poll;
pub use xen_sys::sched_shutdown as Shutdown;
pub use xen_sys::sched_watchdog as Watchdog;

/// Give the CPU away once.
pub const YIELD: u64 = xen_sys::SCHEDOP_yield as u64;
/// Unmask events, and give the CPU away until one is pending.
pub const BLOCK: u64 = xen_sys::SCHEDOP_block as u64;
/// End the domain ([`Shutdown`]).
pub const SHUTDOWN: u64 = xen_sys::SCHEDOP_shutdown as u64;
/// Give the CPU away until one of a list of ports is pending, or a moment has come ([`Poll`]).
pub const POLL: u64 = xen_sys::SCHEDOP_poll as u64;
/// Arm, feed or disarm a watchdog ([`Watchdog`]).
pub const WATCHDOG: u64 = xen_sys::SCHEDOP_watchdog as u64;

/// The domain has no more to do.
pub const REASON_POWEROFF: u32 = xen_sys::SHUTDOWN_poweroff;
/// The domain wants to be started again.
pub const REASON_REBOOT: u32 = xen_sys::SHUTDOWN_reboot;
/// The domain asks to be saved.
pub const REASON_SUSPEND: u32 = xen_sys::SHUTDOWN_suspend;
/// The domain is broken.
pub const REASON_CRASH: u32 = xen_sys::SHUTDOWN_crash;
/// The watchdog ended the domain.
pub const REASON_WATCHDOG: u32 = xen_sys::SHUTDOWN_watchdog;
