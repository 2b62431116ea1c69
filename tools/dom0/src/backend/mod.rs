//! A block backend as a process of dom0, honest or not: what the frontend is tried against in a
//! real Xen, where Linux's own backend never lies.
//!
//! It makes the nodes of one vbd in xenstore as libxl does, but of the kind `qdisk`, which Linux's
//! blkback leaves alone; serves the ring with a file's bytes; and does on demand what no backend
//! may.
//!
//! - [`options`]: its command line
//! - [`device`]: the vbd, from its nodes to their removal
//! - `states`: the backend's part of the handshake
//! - `order`: what it is told on its standard input
//! - `lie`: how an answer can be false
//! - `connection`: the ring, served
//! - `disk`: the bytes, and what they are moved by

mod connection;
pub mod device;
mod disk;
mod lie;
pub mod options;
mod order;
mod states;
