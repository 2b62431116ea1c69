//! NVMe controllers, their namespaces as GEOM disks `nvd0`, `nvd1`... (NVM Express 1.4).
//!
//! A controller is not trusted: what it writes is copied once and checked, everything it is asked
//! for has a limit, and a lie ends that one controller. One that hangs is reset, and what it had is
//! asked for once more; one that cannot be stopped keeps the pages it was given.
//!
//! - [`driver`]: [`Nvme`], all controllers of the domain
//! - `function`: controllers that are functions of PCI devices
//! - [`slot`]: [`Slot`], what a controller needs of its bus
//! - [`standing`], [`health`]: what is shown of a controller
//! - `controller`: one controller
//! - `life`: enabled, served, reset when that may help, and left
//! - `enabling`, `asking`, `namespaces`, `events`, `watching`: parts of that life, each of which
//!   waits
//! - `hardware`: registers and queues; nothing in it waits
//! - `registers`, `capabilities`: what is mapped
//! - `queue`, `tags`: a queue pair, and the ids of what is outstanding
//! - `admin`: the commands that a task waits for
//! - `io`, `request`: requests of disks
//! - `pool`, `pointer`: the pages that data passes through, and how the device is told of them
//! - `door`: the disks that GEOM sees
//! - `offer`: what a controller can be asked for
//! - `command`, `completion`, `identify`, `bytes`: what stands where; pure
//! - `fault`, `resets`, `units`: why a controller cannot go on, how often it is reset, names
//! - `starting`: those that are looked at for the first time
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod admin;
mod asking;
mod bytes;
mod capabilities;
mod command;
mod completion;
mod controller;
mod door;
pub mod driver;
mod enabling;
mod events;
mod fault;
mod function;
mod hardware;
pub mod health;
mod identify;
mod io;
mod life;
mod namespaces;
mod offer;
mod pointer;
mod pool;
mod queue;
mod registers;
mod request;
mod resets;
pub mod slot;
pub mod standing;
mod starting;
mod tags;
mod units;
mod watching;

pub use driver::Nvme;
pub use health::Health;
pub use slot::Slot;
pub use standing::Standing;
