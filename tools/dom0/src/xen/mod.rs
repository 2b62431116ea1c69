//! Xen, as a process of dom0 has it: Linux's devices and xenstored's socket.
//!
//! - `store`: xenstore
//! - `evtchn`: event channels
//! - `gntdev`: pages that other domains grant
//! - `gntalloc`: pages that are granted to others
//! - `mapping`: the memory of either
//! - `ioctl`: what the devices are asked

pub(crate) mod evtchn;
pub(crate) mod gntalloc;
pub(crate) mod gntdev;
mod ioctl;
pub(crate) mod mapping;
pub(crate) mod store;
