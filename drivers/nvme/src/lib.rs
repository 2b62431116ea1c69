//! NVMe controllers on PCI, their namespaces as GEOM disks.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![expect(dead_code, reason = "what uses it comes next")]

extern crate alloc;

mod bytes;
mod capabilities;
mod command;
mod completion;
pub mod health;
mod identify;
mod pointer;
mod tags;
