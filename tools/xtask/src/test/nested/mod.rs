//! The tests that run in nested Xen.
//!
//! - [`list`]: the tests, by nest; add one there
//! - [`runner`]: booting the nests, running the tests, ending the ones that hang
//! - [`footing`]: the lab itself, which all others stand on
//! - [`domain`]: a Xenolith domain, and what its shell says
//! - [`passthrough`]: a disk that is passed through
//! - [`partition`]: disks that dom0 partitioned
//! - [`boot`]: the image starts and ends
//! - [`balloon`]: its memory follows `xl mem-set`
//! - [`configs`]: every file of `xl-configs`
//! - [`ends`]: shutdown, reboot, sysrq, a crash, idleness
//! - [`sums`]: what dom0 put on disks is what the domain reads
//! - [`fill`]: what the domain writes is what dom0 finds
//! - [`fio`]: what it says of what it wrote
//! - [`held`]: a disk leaves while its reads are held back
//! - [`hostile`]: backends that lie
//! - [`frontend`]: a frontend of ours in dom0, told what to do
//! - [`loopback`]: it and dom0's own backend
//! - [`peer`]: a program of ours in dom0 that takes orders
//! - [`cycles`]: a disk comes and goes many times
//! - [`holdings`]: what a domain holds, to find what a test left there
//! - [`linux`]: a Linux guest
//! - [`export`]: the storage driver domain
//! - [`net`]: the domain on dom0's network

mod balloon;
mod boot;
mod configs;
mod cycles;
mod domain;
mod ends;
mod export;
mod fill;
mod fio;
mod footing;
mod frontend;
mod held;
mod holdings;
mod hostile;
mod linux;
mod list;
mod loopback;
mod net;
mod partition;
mod passthrough;
mod peer;
mod runner;
mod sums;

pub(super) use runner::{Wanted, wanted};
