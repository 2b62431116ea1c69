//! The graph from outside: the named scenarios, and random life under the laws.

mod access;
mod allocation;
mod creation;
mod dumps;
mod fake;
mod life;
mod loss;
mod partitions;
mod requests;
mod resize;
mod rig;
mod tasting;
mod wakes;
