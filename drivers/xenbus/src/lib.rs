//! The xenstore client and both sides of xenbus.
//!
//! The store, from the bytes up:
//!
//! - [`wire`]: messages as bytes; pure
//! - [`number`], [`path`], [`permission`]: what stands in nodes and their names, read strictly;
//!   pure
//! - [`error`]: [`StoreError`], and [`ProtocolError`], what ends a connection
//! - `connection`: the ring to the daemon: one task that moves bytes and matches answers
//! - `remote`: the store of a run loop that has no connection
//! - `shared`: watches that serve several run loops
//! - `admission`: how many transactions are open at once
//! - `client`: what that task and the handles share
//! - [`dying`]: what is still written when the domain dies
//! - `hold`: nothing is asked while the domain is suspended
//! - `either`: waiting for one of two things
//! - [`store`]: [`Store`], the handle that everybody uses; transactions
//! - [`watch`]: a [`Watch`]: "something changed there", and a [`TreeWatch`]: "this changed there"
//! - [`changes`]: [`Changes`], what a tree watch remembers; pure
//!
//! Devices, on both sides:
//!
//! - [`state`]: the xenbus states, and what a frontend and a backend do next; pure
//! - [`key`]: one node read strictly, [`KeyError`], and how an error is reported
//! - `device`: what both buses keep of their devices
//!
//! As a frontend:
//!
//! - [`frontend`]: [`Frontend`], one device's nodes on both sides
//! - [`bus`]: [`FrontendBus`], devices that come and go
//!
//! As a backend:
//!
//! - [`backend`]: [`Backend`], one export's nodes on both sides
//! - [`backend_bus`]: [`BackendBus`], exports that come and go, and who hears of their changes
//! - `frontends`: the watches on the domains whose devices are served
//! - [`routes`]: [`BackendRoutes`], the way from that bus to the backends
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod admission;
pub mod backend;
pub mod backend_bus;
pub mod bus;
pub mod changes;
mod client;
mod connection;
mod device;
pub mod dying;
mod either;
pub mod error;
pub mod frontend;
mod frontends;
mod hold;
pub mod key;
pub mod number;
pub mod path;
pub mod permission;
mod remote;
pub mod routes;
mod shared;
pub mod state;
pub mod store;
pub mod watch;
pub mod wire;

#[cfg(test)]
mod tests;

pub use backend::{Backend, Looked};
pub use backend_bus::{BackendBus, BackendEvent, BackendRelease};
pub use bus::{BusEvent, FrontendBus, Release};
pub use changes::Changes;
pub use client::StoreUse;
pub use dying::LastWrite;
pub use error::{ProtocolError, StoreError};
pub use frontend::{BackendWatch, Frontend};
pub use key::{KeyError, KeyFault};
pub use permission::{Permission, Rights};
pub use routes::BackendRoutes;
pub use state::{BackStep, Step, XenbusState};
pub use store::Store;
pub use watch::{TreeWatch, Watch};
