//! `control/shutdown` and its relatives (docs/misc/xenstore-paths.pandoc): what the administrator
//! asks of the domain.
//!
//! - [`word`]: what the nodes may hold, and what it means; pure
//! - [`vcpus`]: [`Availabilities`], which vCPUs it wants
//! - [`control`]: [`Control`], the task that watches the others
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod control;
pub mod vcpus;
pub mod word;

pub use control::Control;
pub use vcpus::Availabilities;
