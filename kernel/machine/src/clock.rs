//! Time: Xen's paravirtual clock, counted from the domain's first instruction.
#![expect(unsafe_code, reason = "reading the time stamp counter")]

use core::arch::x86_64::_rdtsc;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use hv::{Instant, SharedMem};
use pv::pvclock;
use spin::Once;
use xen_abi::shared_info::{CR2, vcpu_info};

use crate::vcpu;
use crate::window::Mapping;

static CLOCK: Once<Clock> = Once::new();
/// The latest time anybody was told.
static LATEST: AtomicU64 = AtomicU64::new(0);

struct Clock {
    shared_info: Mapping,
    /// What system time is to be taken from for the time since the first instruction. It wraps: in
    /// another life the host may be younger than the domain.
    start: AtomicU64,
}

impl Clock {
    fn system_time(&self) -> u64 {
        pvclock::system_time(&self.shared_info, vcpu::current(), tsc)
    }
}

/// The time stamp counter.
pub(crate) fn tsc() -> u64 {
    // SAFETY: every processor that Xen runs on has the counter, and Xen lets a domain read it.
    unsafe { _rdtsc() }
}

/// Starts the clock. `entry` is what the counter read at the first instruction.
pub(crate) fn start(shared_info: Mapping, entry: u64) {
    CLOCK.call_once(|| {
        let start = pvclock::system_time(&shared_info, vcpu::current(), || entry);
        let start = AtomicU64::new(start);
        Clock { shared_info, start }
    });
}

/// The domain runs on, maybe on another host: time goes on from where it was.
pub(crate) fn resume() {
    if let Some(clock) = CLOCK.get() {
        let now = clock.system_time();
        let start = now.wrapping_sub(latest().0);
        clock.start.store(start, Ordering::Relaxed);
    }
}

/// The time since the first instruction; it never goes back. 0 before the clock is started.
pub(crate) fn now() -> Instant {
    let Some(clock) = CLOCK.get() else {
        return Instant(0);
    };
    let start = clock.start.load(Ordering::Relaxed);
    let since = clock.system_time().wrapping_sub(start);
    // A clock that was read a little before the first one.
    let now = u64::try_from(since.cast_signed()).unwrap_or(0);
    let latest = LATEST.fetch_max(now, Ordering::Relaxed);
    Instant(now.max(latest))
}

/// The last time anybody was told, without looking at the clock.
pub(crate) fn latest() -> Instant {
    Instant(LATEST.load(Ordering::Relaxed))
}

/// The system time of `at`, as hypercalls want it.
pub(crate) fn system_time(at: Instant) -> u64 {
    CLOCK
        .get()
        .map_or(0, |clock| clock.start.load(Ordering::Relaxed))
        .wrapping_add(at.0)
}

/// The time since 1970-01-01 00:00 UTC.
pub(crate) fn wall() -> Duration {
    CLOCK.get().map_or(Duration::ZERO, |clock| {
        pvclock::boot_time(&clock.shared_info) + Duration::from_nanos(system_time(now()))
    })
}

/// The address of this vCPU's last page fault, from the same page; `None` before the clock is
/// started.
pub(crate) fn fault_address() -> Option<u64> {
    let info = vcpu_info(vcpu::current());
    Some(CLOCK.get()?.shared_info.load_u64(info + CR2))
}
