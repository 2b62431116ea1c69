//! What every frontend does with its devices, whatever they are.
//!
//! A device appears, is connected to its backend, connected again when that has closed, and leaves
//! at any moment; a store that is silent or lost does not end one that is in use. All of that is
//! here, once; a [`Driver`] says what is published, what a connection is good for and how it ends.
//!
//! - [`bus`]: [`Bus`], all devices of one kind
//! - [`driver`]: [`Driver`] and [`Drivers`], what one kind of device has of its own
//! - `device`: one device from its appearance to its removal
//! - `course`: what its task knows of it
//! - `signals`: what the bus and a device's task tell each other
//! - [`failure`]: [`Failure`], why a device cannot go on
//! - [`late`]: [`Leavings`], what backends may still come to when a connection has ended
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bus;
mod course;
mod device;
pub mod driver;
pub mod failure;
mod hold;
pub mod late;
mod signals;

pub use bus::{Bus, Kind};
pub use driver::{Doing, Driver, Drivers, Published, beside};
pub use failure::Failure;
pub use late::{Late, Leavings, Remnant};
