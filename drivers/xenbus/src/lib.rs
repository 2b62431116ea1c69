//! The xenstore client and the frontend's side of xenbus.
//!
//! The store, from the bytes up:
//!
//! - [`wire`]: messages as bytes; pure
//! - [`number`], [`path`], [`permission`]: what stands in nodes and their names, read strictly;
//!   pure
//! - [`error`]: [`StoreError`], and [`ProtocolError`], what ends a connection
//! - `connection`: the ring to the daemon: one task that moves bytes and matches answers
//! - `admission`: how many transactions are open at once
//! - `client`: what that task and the handles share
//! - `either`: waiting for one of two things
//! - [`store`]: [`Store`], the handle that everybody uses; transactions
//! - [`watch`]: a [`Watch`]: "something changed there"
//!
//! Devices:
//!
//! - [`state`]: the xenbus states, and what a frontend does next; pure
//! - [`frontend`]: [`Frontend`], one device's nodes on both sides
//! - [`bus`]: [`FrontendBus`], devices that come and go
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod admission;
pub mod bus;
mod client;
mod connection;
mod either;
pub mod error;
pub mod frontend;
pub mod number;
pub mod path;
pub mod permission;
pub mod state;
pub mod store;
pub mod watch;
pub mod wire;

#[cfg(test)]
mod tests;

pub use bus::{BusEvent, FrontendBus, Release};
pub use client::StoreUse;
pub use error::{ProtocolError, StoreError};
pub use frontend::{BackendWatch, Frontend, KeyError, KeyFault};
pub use permission::{Permission, Rights};
pub use state::{Step, XenbusState};
pub use store::Store;
pub use watch::Watch;
