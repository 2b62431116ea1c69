//! Time from the page Xen shares: `struct vcpu_time_info` and the wall clock of xen.h.

use core::sync::atomic::{Ordering, fence};
use core::time::Duration;

use hv::SharedMem;
use xen_abi::shared_info::{
    TIME, VCPU_TIME_SIZE, VcpuTime, WC_NSEC, WC_SEC, WC_SEC_HI, WC_VERSION, vcpu_info,
};

/// The system time in nanoseconds (since the host booted) when the time stamp counter reads `tsc`,
/// which may lie before the moment Xen wrote `time`.
#[must_use]
pub fn nanoseconds(time: &VcpuTime, tsc: u64) -> u64 {
    let behind = tsc.wrapping_sub(time.tsc_timestamp).cast_signed();
    let ticks = behind.unsigned_abs();
    let shift = u32::from(time.tsc_shift.unsigned_abs()).min(63);
    // The multiplier is at least a half of 2^32: it takes 2^63 nanoseconds for this to overflow.
    let shifted = if time.tsc_shift < 0 {
        ticks >> shift
    } else {
        ticks << shift
    };
    let passed = (u128::from(shifted) * u128::from(time.tsc_to_system_mul)) >> 32;
    let passed = u64::try_from(passed).unwrap_or(u64::MAX);
    if behind < 0 {
        time.system_time.saturating_sub(passed)
    } else {
        time.system_time.saturating_add(passed)
    }
}

/// Calls `load` until Xen changes nothing meanwhile: the version at `offset` is even and stays.
fn stable<T>(page: &impl SharedMem, offset: usize, mut load: impl FnMut() -> T) -> T {
    loop {
        let version = page.load_u32(offset);
        let value = load();
        fence(Ordering::Acquire);
        if version.is_multiple_of(2) && page.load_u32(offset) == version {
            return value;
        }
    }
}

/// The system time in nanoseconds, from the clock of `vcpu`, which runs this, in the shared info
/// page. `tsc` reads the time stamp counter; it is read between two looks at the page, since Xen
/// may move the vCPU to another CPU in between.
pub fn system_time(page: &impl SharedMem, vcpu: u32, mut tsc: impl FnMut() -> u64) -> u64 {
    let clock = vcpu_info(vcpu) + TIME;
    stable(page, clock, || {
        let mut copy = [0; VCPU_TIME_SIZE];
        page.read(clock, &mut copy);
        nanoseconds(&VcpuTime::decode(&copy), tsc())
    })
}

/// When the system time was 0, as the time since 1970-01-01 00:00 UTC. The wall clock is this plus
/// the system time.
pub fn boot_time(page: &impl SharedMem) -> Duration {
    let (low, high, nanoseconds) = stable(page, WC_VERSION, || {
        let (low, high) = (page.load_u32(WC_SEC), page.load_u32(WC_SEC_HI));
        (low, high, page.load_u32(WC_NSEC))
    });
    Duration::new(u64::from(high) << 32 | u64::from(low), nanoseconds)
}

#[cfg(test)]
mod tests;
