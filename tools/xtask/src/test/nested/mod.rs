//! The tests that run in nested Xen.
//!
//! - [`list`]: the tests, by nest; add one there
//! - [`runner`]: booting the nests, running the tests, ending the ones that hang
//! - [`boot`]: the image starts and ends

mod boot;
mod list;
mod runner;

pub(super) use runner::{run, wanted};
