//! `memory/target` (docs/misc/xenstore-paths.pandoc): the domain gives memory to Xen and gets it
//! back, as the administrator wants (`xl mem-set`).
//!
//! - [`plan`]: what is to be done next, and how far the domain can shrink; pure
//! - [`standing`]: [`Balloon`], the handle, and [`Standing`], what it says
//! - `memory`: the domain's memory, whatever it runs on
//! - `task`: what follows the target, a batch at a time
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod memory;
pub mod plan;
pub mod standing;
mod task;

pub use standing::{Balloon, Standing};
