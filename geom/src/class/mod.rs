//! Classes: what can be found on a provider, and what can be made.
//!
//! DISK makes a provider of each disk and DEV is how applications open one; both are part of the
//! core. The others are of two kinds.
//!
//! Those that find something taste, and are a [`Class`] each: they cut one provider into ranges
//! (GEOM calls them slicers), which costs a request nothing.
//!
//! Those that do something to requests, or keep data themselves, are drivers of disks
//! ([`Disk`](crate::disk::Disk)) that somebody asks for: [`md`], [`zero`], [`nop`]. One that
//! changes what another provider holds has a disk that stands on it, with a consumer there; all the
//! rest, from the queue to the day it is gone, is that of a disk: there is one life to get right.

pub mod md;
pub mod nop;
pub mod part;
pub mod slicer;
pub mod zero;

pub use slicer::{Class, Slice, Table, Verdict};
