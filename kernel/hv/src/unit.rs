//! One newtype per unit, so that a port cannot be taken for a grant reference.

use core::fmt;
use core::time::Duration;

/// A domain's number (`domid_t` in xen.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomId(pub u16);

impl DomId {
    /// The caller itself (`DOMID_SELF` in xen.h).
    pub const SELF: Self = Self(0x7ff0);
}

/// An event channel port of this domain. Port 0 is never valid (event_channel.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u32);

/// An index into a domain's grant table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantRef(pub u32);

/// A machine frame number: a page as Xen counts the host's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mfn(pub u64);

/// A pseudo-physical frame number: a page as this domain counts its own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn(pub u64);

/// A moment on the domain's monotonic clock, in nanoseconds since the domain's first instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// The moment `after` later; the end of time if that cannot be represented.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        let nanoseconds = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }

    /// How much later `self` is than `earlier`; zero if it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time since the domain's first instruction.
    #[must_use]
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

/// `[    0.001234]`'s inside: seconds and microseconds, aligned as a boot log is.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:5}.{:06}",
            self.0 / 1_000_000_000,
            self.0 / 1_000 % 1_000_000
        )
    }
}

macro_rules! display_number {
    ($($unit:ty),*) => {$(
        impl fmt::Display for $unit {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
display_number!(DomId, Port, GrantRef, Mfn, Pfn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_prints_as_a_boot_log_does() {
        assert_eq!(Instant(1_234_567).to_string(), "    0.001234");
        assert_eq!(Instant(61_000_000_000).to_string(), "   61.000000");
    }

    #[test]
    fn time_saturates_at_both_ends() {
        assert_eq!(Instant(5).since(Instant(9)), Duration::ZERO);
        assert_eq!(
            Instant(u64::MAX - 1).after(Duration::from_secs(1)),
            Instant(u64::MAX)
        );
    }
}
