//! Every state the teardown machine can come to, with one disk and a bounded world around it.
//!
//! The model is the real code. A world is one disk with one partition, two holders (one of the raw
//! disk, one of the partition) with one request each, and an alphabet of everything that can happen
//! to them, one piece of GEOM's own work being one letter. A breadth-first search runs every letter
//! in every state it can reach, until there is no new state. Two worlds are the same state if
//! everything that decides their future is the same ([`state`]).
//!
//! After each letter the laws of [`Geom::check`](crate::Geom::check) hold, the driver was told at
//! most once, and its own asserts hold (no entry out of order). From every state, letting
//! everything go ends with gone exactly once and nothing left.

mod search;
mod state;
mod world;
