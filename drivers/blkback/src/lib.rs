//! Block backend: a GEOM provider as a vbd of another domain (io/blkif.h).
//!
//! The frontend is not trusted: every value of its is copied once, checked and bounded, and a lie
//! ends that one export. A frontend, its domain, or the provider may go at any moment; what happens
//! then stands in [`mod@export`].
//!
//! - [`bus`]: [`Blkback`], all exports of the domain
//! - `claim`: who serves which export, where there are several run loops
//! - `export`: one export from its appearance to its removal
//! - [`target`]: what is exported: `params`, read; pure
//! - [`medium`]: what is exported, open, and where it was opened
//! - `offer`: what a frontend is told
//! - `keys`: what a frontend published, read
//! - `link`: a connection: rings, ports and the provider; who is served when
//! - `former`: a connection that has ended, until the frontend has seen that too
//! - `polling`: how long to look for the next request before sleeping; pure
//! - `listed`: a list that a domain that dies can still read
//! - `queue`: one ring and its requests
//! - `ledger`: the ring itself, and who is owed an answer, also when the domain dies
//! - `request`: a request judged; pure
//! - `slot`: a request on its way through GEOM, piece by piece
//! - `tag`: which request an order is of; pure
//! - `share`: how much a connection may have at once beside others; pure
//! - [`statistics`]: what an export has done
//! - `signals`: what the bus, the domain and an export's task tell each other
//! - `failure`: why an export cannot go on
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bus;
mod claim;
mod export;
mod failure;
mod former;
mod keys;
mod ledger;
mod link;
mod listed;
pub mod medium;
mod offer;
mod polling;
mod queue;
mod request;
mod share;
mod signals;
mod slot;
pub mod statistics;
mod tag;
pub mod target;

pub use bus::{Blkback, ExportUse};
pub use claim::Claims;
pub use medium::Providers;
