//! How a nest runs.

use crate::suite::Suite;
use std::time::Duration;

/// How large, how long and with which clock a nest runs. Start from the default.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which Xen and Linux.
    pub suite: Suite,
    /// Memory of the whole nest, in MiB.
    pub memory: u32,
    /// Memory of dom0, in MiB; the rest is for Xen and the guests.
    pub dom0_memory: u32,
    /// Deterministic time: one instruction is one nanosecond of every clock, idle time is skipped,
    /// and there is one physical CPU. About 2.5 times slower on the host's clock.
    pub icount: bool,
    /// The nest is ended when it has run this long on the host's clock.
    pub time_limit: Duration,
    /// Other nests that share may run beside it, as many as the host has CPUs and memory for; else
    /// it runs alone.
    pub shares: bool,
    /// More words for Xen's command line.
    pub xen_arguments: String,
    /// More words for QEMU's command line.
    pub qemu_arguments: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            suite: Suite::default(),
            memory: 3072,
            dom0_memory: 1024,
            icount: false,
            time_limit: Duration::from_secs(1800),
            shares: false,
            xen_arguments: String::new(),
            qemu_arguments: Vec::new(),
        }
    }
}
