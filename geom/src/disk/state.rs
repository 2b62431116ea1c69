//! The one teardown machine.

use core::fmt;

/// Where a disk is in its life. It only moves down this list; see the [module](crate::disk).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskState {
    /// Created by the driver; the provider does not exist yet.
    Queued,
    /// In use.
    Live,
    /// Lost: opens and requests are refused, holders are not told yet.
    Failing,
    /// Holders are told; requests are out, or something is still attached.
    Draining,
    /// Nobody can reach the driver; it is about to be told.
    Detached,
    /// The driver was told. It has not destroyed its record.
    Gone,
}

impl fmt::Display for DiskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Live => "live",
            Self::Failing => "failing",
            Self::Draining => "draining",
            Self::Detached => "detached",
            Self::Gone => "gone",
        })
    }
}
