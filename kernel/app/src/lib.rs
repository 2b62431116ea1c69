//! What a running domain is made of: the same in the image and in the simulator.
//!
//! - [`domain`]: [`Domain`]: the parts, put together and run
//! - [`program`]: [`Program`]: a domain that runs one program of yours, and [`App`], what that is
//!   given
//! - [`run_loop`]: [`Next`]: a run loop, and what is next
//! - [`vcpus`]: [`Shard`]: what each further vCPU runs, and which there are
//! - `placement`: which vCPU has what
//! - `devices`: what both begin with
//! - `nbd_service`: serving disks over NBD
//! - `clients`: who would lose a disk with the domain
//! - `alarm`: when Xen is to wake it
//! - `service`: the tasks that only keep things going: timer, watchdog, GEOM
//! - `suspend`: being saved, and going on in the next life
//! - `pages`: what memory disks keep their data in
//! - `ready`: when everything that was there at boot is settled
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod alarm;
mod clients;
mod devices;
pub mod domain;
mod nbd_service;
mod pages;
mod placement;
pub mod program;
mod ready;
pub mod run_loop;
mod service;
mod suspend;
pub mod vcpus;

pub use domain::Domain;
pub use program::{App, Program};
pub use run_loop::Next;
pub use vcpus::shard::Shard;
pub use vcpus::turning::{ShardCell, turn_shards};
