//! What a network backend has of a frontend: its rings, and the packets under way.

use std::collections::VecDeque;
use std::rc::Rc;

use hv::{DomId, Instant, Port, SharedMem};
use ring::{BackRing, Pages, PeerFault};

use super::malice::Malice;
use super::packet::{Gso, Packet};
use super::slot::TxRequest;
use crate::layout::{netif, ring as index};
use crate::{Memory, Xen};

/// The rings that are mapped, and what the frontend can do.
pub(super) struct Connection {
    pub(super) queues: Vec<Queue>,
    /// Packets may take more than one page.
    pub(super) takes_sg: bool,
    /// It takes large TCP packets, over IPv4 and over IPv6.
    pub(super) takes_gso: [bool; 2],
    /// It takes packets whose checksum is still to be made, IPv4 and IPv6.
    pub(super) takes_blank: [bool; 2],
    /// It wants only those multicast packets that it asked for.
    pub(super) multicast_control: bool,
    pub(super) multicast: Vec<[u8; 6]>,
    /// Transmit answers sent, and packets delivered.
    pub(super) answered: u64,
    pub(super) delivered: u64,
}

/// The rings of one queue.
pub(super) struct Queue {
    pub(super) tx: BackRing<Pages<Memory>>,
    pub(super) rx: BackRing<Pages<Memory>>,
    pub(super) tx_port: Port,
    /// The same as `tx_port` where there is only one.
    pub(super) rx_port: Port,
    pub(super) jobs: VecDeque<Job>,
    /// Packets for the guest that found no posted pages yet, and since when the first waits.
    pub(super) waiting: VecDeque<Packet>,
    pub(super) waits_since: Option<Instant>,
    /// One past the last receive entry taken.
    pub(super) rx_taken: u32,
}

/// A packet taken from the transmit ring.
pub(super) struct Job {
    pub(super) due: Instant,
    pub(super) pieces: Vec<Piece>,
    /// Entries of extras, which come after that of the first piece.
    pub(super) extras: usize,
    pub(super) gso: Option<Gso>,
    pub(super) flags: u16,
    /// What to answer, instead of moving anything.
    pub(super) refused: Option<i16>,
}

/// One entry of it, with its own size, and its page.
pub(super) struct Piece {
    pub(super) request: TxRequest,
    pub(super) page: Option<Rc<Memory>>,
}

impl Queue {
    pub(super) fn open(
        (tx, rx): (Memory, Memory),
        (tx_port, rx_port): (Port, Port),
        guest: DomId,
        malice: &Malice,
        xen: &Xen,
    ) -> Result<Self, PeerFault> {
        let attach = |page: Memory, entry| {
            if malice.flip_after_read {
                flip_after_read(&page, guest);
            }
            let ring = BackRing::attach(Pages::new(vec![page]), entry)?;
            if malice.dirty_ring {
                for at in [index::REQ_PROD, index::REQ_EVENT, index::RSP_PROD] {
                    let word = xen.rng().next().to_le_bytes();
                    ring.memory().write(at, &word[..4]);
                }
                // What it does to the ring is no reason for it to stop.
                let _ = ring.final_check();
            }
            Ok(ring)
        };
        let tx = attach(tx, netif::TX_ENTRY)?;
        let rx = attach(rx, netif::RX_ENTRY)?;
        let rx_taken = rx.memory().load_u32(index::RSP_PROD);
        Ok(Self {
            tx,
            rx,
            tx_port,
            rx_port,
            jobs: VecDeque::new(),
            waiting: VecDeque::new(),
            waits_since: None,
            rx_taken,
        })
    }

    /// Its ports, each once.
    pub(super) fn ports(&self) -> impl Iterator<Item = Port> {
        let second = (self.tx_port != self.rx_port).then_some(self.rx_port);
        std::iter::once(self.tx_port).chain(second)
    }

    /// Receive entries that are posted and not taken.
    pub(super) fn posted(&self) -> u32 {
        let produced = self.rx.memory().load_u32(index::REQ_PROD);
        produced.wrapping_sub(self.rx_taken)
    }
}

/// After the guest has read an answer, its bytes are inverted.
fn flip_after_read(page: &Memory, guest: DomId) {
    page.frame()
        .set_snoop(Some(Box::new(move |frame, reader, offset, length| {
            if reader == guest && offset >= index::HEADER {
                let mut bytes = vec![0; length.min(netif::RX_ENTRY)];
                frame.peek(offset, &mut bytes);
                bytes.iter_mut().for_each(|byte| *byte = !*byte);
                frame.poke(offset, &bytes);
            }
        })));
}
