//! The nested lab: QEMU runs Xen, Xen runs a Linux dom0, and host-side Rust drives that dom0.
//!
//! Everything is prepared on first use and kept in the user's cache directory, shared between
//! clones. [`Nest::boot`] starts a nest, [`Nest::run`] runs a shell line in dom0,
//! [`Nest::create_guest`] starts a domain whose console can be read and typed at. A nest ends with
//! its value, or with the process that made it, however that ends.
//!
//! * [`suite`]: which Debian release dom0 is, hence which Xen and Linux.
//! * [`options`]: how large, how long and with which clock a nest runs.
//! * [`nest`]: a running nest; [`output`], what a command in it said; [`running`], one under way.
//! * [`shell`]: a program in dom0 at the user's terminal.
//! * [`guest`]: a domain and its console. [`disk`]: block devices in dom0 for it.
//! * [`network`]: dom0's bridge for guests, and the way from the host to a guest's page.
//! * Inside: `tool`, `cache`, `scratch`, `recipe`, `prepare` and `progress` make what a nest needs;
//!   `agent`, `initrd`, `cpio`, `turn` and `qemu` start one; `machine` ends it; `link` talks to its
//!   agent.
#![forbid(unsafe_code)]

mod agent;
mod cache;
mod cpio;
pub mod disk;
pub mod guest;
mod initrd;
mod link;
mod machine;
pub mod nest;
pub mod network;
pub mod options;
pub mod output;
mod prepare;
mod progress;
mod qemu;
mod recipe;
pub mod running;
mod scratch;
pub mod shell;
pub mod suite;
mod tool;
mod turn;

pub use agent::program;
pub use disk::Disk;
pub use guest::Guest;
pub use nest::Nest;
pub use options::Options;
pub use output::Output;
pub use running::Running;
pub use suite::Suite;
