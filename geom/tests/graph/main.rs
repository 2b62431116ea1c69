//! The graph from outside: the named scenarios, and random life under the laws.
//!
//! A test `sNN_...` is scenario NN of the reference on GEOM; `s05b_...` is a variant. Where one has
//! no test here: 23 (classes are not unloaded), 28 (does not compile: see `Device`), 44 and 45 (the
//! driver's part; GEOM's is 5 and 43), 47 to 50, 52, 55 to 57 (xenbus and the ring), 53 (is 40).

mod access;
mod allocation;
mod at_once;
mod conformance;
mod creation;
mod dumps;
mod fake;
mod holder;
mod life;
mod loss;
mod memory_disk;
mod nop;
mod pages;
mod partitions;
mod requests;
mod resize;
mod rig;
mod tasting;
mod wakes;
