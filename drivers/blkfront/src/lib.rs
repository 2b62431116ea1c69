//! Block frontend: a Xen vbd as a GEOM disk (io/blkif.h).
//!
//! The backend is not trusted: every value of its is copied once, checked and bounded, and a lie
//! ends that one device. A vbd may leave at any moment; what happens then stands in
//! [`frontend`].
//!
//! - [`bus`]: [`Blkfront`], all vbds of the domain
//! - [`mod@unit`], [`vdev`]: which name a device gets
//! - `device`: one vbd, as its task drives it
//! - `feature`, `discard`, `medium`: what a backend offers and says of its disk, checked; pure
//! - `keys`: the backend's nodes, read
//! - `link`: a connection: its rings, and the disk made of them
//! - `queues`: the rings, and which request goes to which
//! - `queue`: requests on their way to the backend, and the answers
//! - `operation`: what a request asks the backend to do
//! - `slot`: one such request, and the way of its data
//! - `pool`: the pages that all data passes through
//! - `disk`: the disk that GEOM sees
//! - `late`: what the backend may still do when its requests have been failed
//! - `fault`: what only this driver can say of why a device cannot go on
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bus;
mod device;
mod discard;
mod disk;
mod fault;
mod feature;
mod keys;
mod late;
mod link;
mod medium;
mod operation;
mod pool;
mod queue;
mod queues;
mod slot;
pub mod unit;
pub mod vdev;

pub use bus::Blkfront;
