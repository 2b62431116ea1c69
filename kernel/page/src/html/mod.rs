//! The page. It is whole without JavaScript; with it, what changes is changed in place.
//!
//! - [`document`]: the page around what changes
//! - [`live`]: what changes, from top to bottom
//! - [`tiles`]: the figures at the top
//! - [`storage`]: disks and exports
//! - [`network`]: its interfaces and sockets, and what passes them
//! - [`peers`]: devices in xenstore
//! - [`inside`]: events, grants, tasks, log

pub mod document;
pub mod inside;
pub mod live;
pub mod network;
pub mod peers;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod tiles;
