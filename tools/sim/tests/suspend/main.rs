//! A domain is saved and goes on in another life, with its disks in use.
//!
//! - `lives`: cancelled, refused, saved again and again
//! - `full_ring`: with as many requests under way as there can be
//! - `less`: the next backend takes less of a request, or has fewer queues
//! - `media`: the next disk is not quite the same
//! - `coming`: while a disk is attached or tasted
//! - `going`: while a disk is taken away

#![forbid(unsafe_code)]

mod coming;
mod full_ring;
mod going;
mod less;
mod lives;
mod media;
mod setting;
