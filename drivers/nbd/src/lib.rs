//! An NBD server for GEOM's providers over any byte stream.
//!
//! The protocol is that of the NBD project's `doc/proto.md`, fixed newstyle, without TLS. A client
//! is two halves of a stream; all but the two loops that move bytes (`pump`) is compiled once,
//! whatever the stream is.
//!
//! - [`server`]: [`Server`]: one client to its end
//! - [`export`]: [`Export`]: what is served under which name, and opening it
//! - [`failure`]: [`Fault`]: why a client's connection ended
//! - `wire`, `option`, `code`: the protocol's numbers and layouts
//! - `pump`, `intake`, `outgoing`: between the stream and the rest
//! - `handshake`: options until an export is chosen
//! - `transmission`: requests taken one after the other; `judge` says what may be done
//! - `connection`: what all requests of a client share; `carry`, `read` and `write` carry them out
//! - `open`: what all clients of an export have open, once
//! - `memory`: buffers; `budget`: how many bytes may be under way; `places`: how many clients;
//!   `waiters`: tasks that wait for the same thing
//!
//! # What is bounded
//!
//! A request is taken when its share of the [budget](Limits) is there, and gives it back when its
//! last byte has left; a longer one is carried out in pieces, inside of what it was given. Each
//! client of each export has a part that nobody else can hold, so a disk that is stuck, or a client
//! that does not read, keeps nobody else from going on. Requests that GEOM has when a client leaves
//! run to their end, count until then, and are answered to nobody.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod budget;
mod carry;
mod code;
mod connection;
pub mod export;
pub mod failure;
mod handshake;
mod intake;
mod judge;
mod memory;
mod open;
mod option;
mod outgoing;
mod places;
mod pump;
mod read;
pub mod server;
mod transmission;
mod waiters;
mod wire;
mod write;

pub use budget::Limits;
pub use export::Export;
pub use failure::Fault;
pub use server::Server;
