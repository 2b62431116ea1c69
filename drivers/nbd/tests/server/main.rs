//! The server with scripted clients, over streams and disks in memory.
//!
//! A test `dNN_...` is about bad input or a bad peer: d01 to d09 the handshake, d10 to d29
//! requests, d30 on what a client, a stream or a disk may do in the middle.

mod bad_input;
mod budget;
mod client;
mod disk;
mod handshake;
mod leaving;
mod model;
mod requests;
mod rig;
mod sharing;
mod stream;
