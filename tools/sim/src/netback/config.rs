//! What a network backend offers and how it behaves, and what it has done.

use std::time::Duration;

use super::malice::Malice;

/// What a backend offers, and how it behaves.
#[derive(Clone, Debug)]
pub struct NetbackConfig {
    /// Packets of several pieces (`feature-sg`).
    pub sg: bool,
    /// Large TCP packets over IPv4.
    pub gso_tcpv4: bool,
    /// Large TCP packets over IPv6.
    pub gso_tcpv6: bool,
    /// Makes checksums of IPv6.
    pub ipv6_csum: bool,
    /// Makes none of IPv4 (`feature-no-csum-offload`).
    pub no_csum: bool,
    /// Copies to the guest's pages: the only way there is.
    pub rx_copy: bool,
    /// Leaves away multicast packets that were not asked for.
    pub multicast: bool,
    /// An event channel for each direction.
    pub split: bool,
    /// The most queues, published as `multi-queue-max-queues`.
    pub queues: Option<u32>,
    /// Says that it has a control ring. It does not look at one.
    pub control_ring: bool,
    /// What it says of the cable, if anything.
    pub carrier: Option<bool>,
    /// The longest a packet takes; each takes a random time up to it.
    pub latency: Duration,
    /// Answers packets that are finished together in any order.
    pub shuffle: bool,
    /// The most bytes of a packet put into one page.
    pub rx_chunk: usize,
    /// Where in a page they start, if they fit there.
    pub rx_offset: usize,
    /// The most packets that wait for the guest to post pages, per queue.
    pub rx_queue: usize,
    /// The longest that they wait.
    pub drain: Duration,
    /// Whether what the frontend does wrong is a broken law. The shipped frontend must not.
    pub strict: bool,
    /// What it does that an honest backend does not.
    pub malice: Malice,
}

impl Default for NetbackConfig {
    /// All that Linux's netback offers, with one queue.
    fn default() -> Self {
        Self {
            sg: true,
            gso_tcpv4: true,
            gso_tcpv6: true,
            ipv6_csum: true,
            no_csum: false,
            rx_copy: true,
            multicast: true,
            split: true,
            queues: Some(1),
            control_ring: true,
            carrier: None,
            latency: Duration::from_micros(100),
            shuffle: true,
            rx_chunk: hv::PAGE_SIZE,
            rx_offset: 0,
            rx_queue: 1024,
            drain: Duration::from_secs(10),
            strict: true,
            malice: Malice::default(),
        }
    }
}

/// What a backend has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Entries taken off the transmit rings.
    pub entries: u64,
    /// Answers put on them, false ones included.
    pub answers: u64,
    /// Packets that the guest sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Those with a checksum still to be made.
    pub sent_blank: u64,
    /// Those that are to be cut.
    pub sent_gso: u64,
    /// Those of several pieces.
    pub sent_chains: u64,
    /// Those that were refused.
    pub tx_errors: u64,
    /// Packets put into the guest's pages.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Those that a wire would carry in pieces.
    pub received_gso: u64,
    /// Those of several pages.
    pub received_chains: u64,
    /// Pages that could not be filled.
    pub rx_errors: u64,
    /// Packets for the guest for which there was no room in time.
    pub overflowed: u64,
    /// Packets for the guest that it does not want, or cannot get.
    pub unwanted: u64,
    /// Packets under way when the connection ended.
    pub lost: u64,
    /// The most packets of the guest under way at once, in one queue.
    pub most_pending: usize,
    /// Queues of the last connection.
    pub queues: u32,
}
