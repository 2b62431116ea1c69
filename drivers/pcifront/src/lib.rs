//! PCI frontend: devices that the toolstack gave to this domain (io/pciif.h).
//!
//! Configuration space, MSI and MSI-X go through a page that the backend (pciback) serves, one
//! operation at a time; registers are mapped, and interrupts are bound, by Xen. The backend is not
//! trusted: every value of its is copied once and checked, and a lie ends its devices. They may
//! leave at any moment.
//!
//! - [`bus`]: [`Pcifront`], all of the domain's functions; [`Seen`], as the shell shows them
//! - [`driver`]: [`FunctionDriver`], what takes a function
//! - [`function`]: [`Function`], one of them, as its driver has it
//! - [`interrupt`]: [`Interrupt`], one of its interrupts
//! - [`address`]: [`Address`]: PCI domain, bus, slot and function
//! - [`id`]: [`Id`]: vendor, device and class
//! - [`bar`]: [`Bar`]: where registers are, and what may be said of that
//! - [`failure`]: [`Failure`], why an operation failed
//! - `capability`: the list of what a function can do
//! - `vector`: what the backend calls the numbers of interrupts
//! - `device`: the frontend, as its task in [`frontend`] drives it
//! - `list`: which functions the backend has for this domain
//! - `fleet`: those that are there now, and their drivers' tasks
//! - `operation`: an operation as bytes, and its answer
//! - `connection`: the page, and one operation at a time
//! - `turns`: who goes next
//! - `aer`: errors of devices that the backend reports
//! - `fault`: what ends a connection
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod address;
mod aer;
pub mod bar;
pub mod bus;
mod capability;
mod connection;
mod device;
pub mod driver;
pub mod failure;
mod fault;
mod fleet;
pub mod function;
pub mod id;
pub mod interrupt;
mod list;
mod operation;
mod turns;
mod vector;

pub use address::Address;
pub use bar::Bar;
pub use bus::{Pcifront, Seen};
pub use driver::{FunctionDriver, Running};
pub use failure::Failure;
pub use function::Function;
pub use id::Id;
pub use interrupt::{Interrupt, Way};
