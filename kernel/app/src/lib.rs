//! What a running domain is made of: the same in the image and in the simulator.
//!
//! - [`domain`]: [`Domain`]: the parts, put together and run
//! - `alarm`: when Xen is to wake it
//! - `service`: the tasks that only keep things going: timer, watchdog, GEOM
//! - `pages`: what memory disks keep their data in
//! - `ready`: when everything that was there at boot is settled
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod alarm;
pub mod domain;
mod pages;
mod ready;
mod service;

pub use domain::{Domain, Next};
