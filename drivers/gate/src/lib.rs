//! GATE: disks of one run loop as disks of another's GEOM, as FreeBSD's ggate has them of another
//! machine.
//!
//! Where a domain has several run loops, each with disks of its own, one has the whole graph: what
//! is on all disks is found there, and who may open what is decided there. Each disk of another
//! loop is there by a gate. What goes through it is copied once more on its way; what is served
//! where its disk is does not go through it.
//!
//! - `server`: [`Server`], the side that has the disks
//! - `client`: [`Client`], the side that has the graph
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod client;
mod server;

pub use client::Client;
pub use server::Server;
