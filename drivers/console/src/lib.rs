//! The primary console.
//!
//! - [`console`]: [`Console`], the handle that the shell reads and writes
//! - [`queue`]: what waits to be printed, and what is dropped when nobody takes it; pure
//! - `task`: moves bytes between the queue, the log and the ring
//!
//! A panic's epitaph does not come through here: it is written to the page directly.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod console;
pub mod queue;
mod task;

pub use console::{Console, ConsoleUse};
