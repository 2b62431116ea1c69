//! `io/`: the protocols that domains speak among each other.
//!
//! - [`ring`]: the head of a request/response ring
//! - [`blkif`]: block devices
//! - [`netif`]: network devices
//! - [`pciif`]: PCI devices
//! - [`console`]: the page of a console
//! - [`xs_wire`]: xenstore's page and messages
//! - [`xenbus`]: the states of a device's two ends
//! - [`protocols`]: what names the layout of a ring's entries

pub mod blkif;
pub mod console;
pub mod netif;
pub mod pciif;
pub mod protocols;
pub mod ring;
pub mod xenbus;
pub mod xs_wire;
