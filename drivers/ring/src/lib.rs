//! Both ends of a ring shared with another domain.
//!
//! A ring's peer may write anything at any time. Here live the bounds that make that harmless: own
//! indices are private and never read back, a peer's index is checked against what is outstanding
//! before it is believed, and an entry is copied out once.
//!
//! - [`fault`]: [`PeerFault`], a peer's index that cannot be true
//! - [`index`]: the arithmetic of free-running indices
//! - [`pages`]: [`Pages`], several pages as one piece of shared memory
//! - [`front`]: [`FrontRing`], the end that asks
//! - [`back`]: [`BackRing`], the end that answers
//! - [`stream`]: [`ByteStream`], the two byte rings of a console or a xenstore connection
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod back;
pub mod fault;
pub mod front;
pub mod index;
pub mod pages;
pub mod stream;

#[cfg(test)]
mod tests;

pub use back::BackRing;
pub use fault::PeerFault;
pub use front::{FrontRing, RingFull};
pub use pages::Pages;
pub use stream::{ByteRing, ByteStream, StreamLayout};
