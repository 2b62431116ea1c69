//! Block frontend: a Xen vbd as a GEOM disk.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;
mod feature;
mod medium;
mod unit;
pub mod vdev;
