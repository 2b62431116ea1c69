//! What a simulated controller is like, and what it does that none may do.

use std::time::Duration;

use crate::Disk;
use crate::pirq::Trigger;

/// One namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Its number.
    pub id: u32,
    /// Its content.
    pub disk: Disk,
    /// Its size in blocks.
    pub blocks: u64,
    /// Two to the power of this are a block's bytes.
    pub shift: u32,
    /// It is write protected.
    pub read_only: bool,
    /// Its EUI64; 0 is none.
    pub eui64: u64,
}

impl Namespace {
    /// Namespace `id` of `blocks` blocks of 512 bytes.
    #[must_use]
    pub fn new(id: u32, disk: &Disk, blocks: u64) -> Self {
        Self {
            id,
            disk: disk.clone(),
            blocks,
            shift: 9,
            read_only: false,
            eui64: 0,
        }
    }
}

/// What a controller is like.
#[derive(Clone, Debug)]
pub struct NvmeConfig {
    /// Its namespaces, by rising numbers.
    pub namespaces: Vec<Namespace>,
    /// Its machine address.
    pub address: u64,
    /// Its interrupt.
    pub pirq: u32,
    /// How it raises that.
    pub trigger: Trigger,
    /// The most entries of a queue.
    pub entries: u16,
    /// The largest transfer: two to the power of this, in pages; 0 is no limit.
    pub largest: u8,
    /// It takes scatter-gather lists.
    pub scatters: bool,
    /// It has a volatile write cache.
    pub caches_writes: bool,
    /// It knows Dataset Management and Write Zeroes.
    pub deallocates: bool,
    /// How long a command takes.
    pub latency: Duration,
    /// How long it takes to get ready.
    pub ready_after: Duration,
}

impl NvmeConfig {
    /// One as QEMU's, with one namespace.
    #[must_use]
    pub fn new(disk: &Disk, blocks: u64) -> Self {
        Self {
            namespaces: vec![Namespace::new(1, disk, blocks)],
            address: 0xc0_0000_0000,
            pirq: 22,
            trigger: Trigger::Line,
            entries: 2048,
            largest: 7,
            scatters: false,
            caches_writes: true,
            deallocates: true,
            latency: Duration::from_micros(50),
            ready_after: Duration::from_millis(3),
        }
    }
}

/// What a controller does that none may do. All of it can be changed while it runs.
#[derive(Clone, Debug, Default)]
pub struct Malice {
    /// So many I/O commands are fetched and never completed.
    pub loses: u32,
    /// So many admin commands are fetched and never completed.
    pub loses_admin: u32,
    /// Abort does not end what was lost.
    pub ignores_abort: bool,
    /// It never gets ready.
    pub never_ready: bool,
    /// Disabling it does not stop it.
    pub never_stops: bool,
    /// It raises no interrupt.
    pub mute: bool,
    /// I/O commands fail with this status, so many of them.
    pub fails: (u16, u32),
    /// Every I/O completion comes twice.
    pub twice: bool,
    /// Added to the id in I/O completions.
    pub id: u16,
    /// Added to the queue's number in I/O completions.
    pub queue: u16,
    /// Added to how far it says it has read the I/O queue.
    pub head: u16,
    /// It writes only so many bytes of an Identify page.
    pub cut: Option<usize>,
    /// What it lists as its namespaces.
    pub list: Option<Vec<u32>>,
    /// Identify Namespace fails with this status, so many times.
    pub hides: (u16, u32),
    /// Bytes of Identify Namespace that are other ones: where, and what.
    pub namespace: Vec<(usize, Vec<u8>)>,
    /// CAP, instead of what is true.
    pub capabilities: Option<u64>,
}
