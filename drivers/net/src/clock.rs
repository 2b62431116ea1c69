//! The domain's clock and smoltcp's.

use smoltcp::time;

/// `at` as smoltcp counts.
pub(crate) fn to_smoltcp(at: hv::Instant) -> time::Instant {
    time::Instant::from_micros(i64::try_from(at.0 / 1000).unwrap_or(i64::MAX))
}

/// `at` as the domain counts; the start for what lies before it.
pub(crate) fn from_smoltcp(at: time::Instant) -> hv::Instant {
    let micros = u64::try_from(at.total_micros()).unwrap_or(0);
    hv::Instant(micros.saturating_mul(1000))
}
