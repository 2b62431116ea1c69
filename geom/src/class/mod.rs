//! Classes: what can be found on a provider.
//!
//! DISK makes a provider of each disk and DEV is how applications open one; both are part of the
//! core. The others taste, and are a [`Class`] each. All of those cut one provider into ranges
//! (GEOM calls them slicers); a class that transforms data will need more than this trait.

pub mod part;
pub mod slicer;

pub use slicer::{Class, Slice, Table, Verdict};
