//! Network frontend: a Xen vif as a device of smoltcp (io/netif.h).
//!
//! The backend is not trusted: every value of its is copied once, checked and bounded, and a lie
//! ends that one device. A vif may leave at any moment; what happens then stands in
//! [`frontend`].
//!
//! - [`bus`]: [`Netfront`], all vifs of the domain
//! - [`event`]: [`Event`], what becomes of them
//! - [`link`]: [`Link`], one connection, as smoltcp has its devices
//! - [`token`]: the right to take or to send one packet
//! - [`counters`]: [`Counters`], what went through
//! - `device`: one vif, as its task drives it
//! - `carrier`: whether the backend's side is up
//! - `feature`, `mac`: what the store says of it, checked; pure
//! - `keys`: the nodes, read
//! - `connection`: what a device's task and a link share
//! - `queues`, `queue`: the rings of a connection, in pairs
//! - `transmit`, `flight`: packets to be sent, and the answers to their slots
//! - `pool`: the pages that they are written into
//! - `receive`, `chain`: packets that are received, put together from their slots
//! - `frame`, `checksum`, `offload`: what the backend leaves to be done with a packet, or does
//! - `late`: what the backend may still come to when a connection has ended
//! - `fault`, `misbehaviour`: what only this driver can say of why a device cannot go on
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bus;
mod carrier;
mod chain;
mod checksum;
mod connection;
pub mod counters;
mod device;
pub mod event;
mod fault;
mod feature;
mod flight;
mod frame;
mod keys;
mod late;
pub mod link;
mod mac;
mod misbehaviour;
mod offload;
mod pool;
mod queue;
mod queues;
mod receive;
pub mod token;
mod transmit;

pub use bus::Netfront;
pub use counters::{Counters, Traffic};
pub use event::Event;
pub use link::Link;
