//! `control/shutdown` and its relatives (docs/misc/xenstore-paths.pandoc): what the administrator
//! asks of the domain.
//!
//! - [`word`]: what the nodes may hold, and what it means; pure
//! - `vcpus`: which vCPUs it wants, of which only the first is used
//! - [`control`]: [`Control`], the task that watches them
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod control;
mod vcpus;
pub mod word;

pub use control::Control;
