//! All rings of one connection.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::task::Context;

use hv::{DomId, Hypervisor, Instant};
use pv::{Granted, Pv};

use crate::chain::Packet;
use crate::counters::Counters;
use crate::fault::Fault;
use crate::feature::Features;
use crate::frame::ETHERNET;
use crate::misbehaviour::Misbehaviour;
use crate::offload::{self, Work};
use crate::pool::{Pool, Room};
use crate::queue::Queue;
use crate::receive::Found;

/// Nodes to be published, by key.
pub(crate) type Keys = Vec<(String, String)>;

/// The longest IP packet.
const LONGEST: usize = 0xffff;
/// Packets that are taken in one turn of the run loop.
const BUDGET: u32 = 64;

/// Whom a connection is to, and how far it is trusted.
#[derive(Clone, Copy)]
pub(crate) struct Peer<'a> {
    pub(crate) domain: DomId,
    /// Otherwise it is shown no byte but those of its packets.
    pub(crate) trusted: bool,
    /// What the device is called here.
    pub(crate) name: &'a str,
}

/// Rings in use, one pair at least.
pub(crate) struct Queues<H: Hypervisor> {
    list: Vec<Queue<H>>,
    pool: Pool<H>,
    features: Features,
    /// The longest frame that can be sent without being cut.
    frame: usize,
    /// The longest that can be sent at all.
    longest: usize,
    counters: Counters,
    /// Packets that this turn may still take.
    budget: u32,
    turn: u64,
    /// Where the next packet is looked for first.
    next: usize,
    /// Something was taken since the last event.
    useful: bool,
}

impl<H: Hypervisor> Queues<H> {
    /// Takes the pages and the ports that a connection needs. Frames are of `frame` bytes at most,
    /// unless the backend cuts them.
    pub(crate) fn new(
        pv: &Pv<H>,
        peer: Peer<'_>,
        features: Features,
        frame: usize,
    ) -> Result<Self, Fault> {
        let longest = if features.cuts() {
            xen_abi::io::netif::MAX_TX_SIZE
        } else {
            frame
        };
        let long = longest > hv::PAGE_SIZE;
        let pool = Pool::new(pv, peer.domain, long, !peer.trusted).map_err(Fault::Memory)?;
        let queue = |_| Queue::new(pv, peer, features.split, features.queues as usize);
        Ok(Self {
            list: (0..features.queues).map(queue).collect::<Result<_, _>>()?,
            pool,
            features,
            frame,
            longest,
            counters: Counters::default(),
            budget: BUDGET,
            turn: 0,
            next: 0,
            useful: false,
        })
    }

    /// The nodes that tell the backend of the rings and of what can be received.
    pub(crate) fn keys(&mut self) -> Keys {
        let mut keys = Keys::new();
        let features = self.features;
        for (key, there) in [
            ("request-rx-copy", true),
            ("feature-rx-notify", true),
            ("feature-sg", true),
            ("feature-gso-tcpv4", true),
            ("feature-gso-tcpv6", true),
            ("feature-ipv6-csum-offload", true),
            ("request-multicast-control", features.multicast),
        ] {
            if there {
                keys.push((key.to_string(), String::from("1")));
            }
        }
        if features.queues > 1 {
            keys.push((
                "multi-queue-num-queues".to_string(),
                features.queues.to_string(),
            ));
        }
        for (index, queue) in self.list.iter_mut().enumerate() {
            let folder = match features.queues {
                1 => String::new(),
                _ => format!("queue-{index}/"),
            };
            queue.add_keys(&folder, &mut keys);
            // Nobody is there to be told yet.
            queue.publish_offered();
        }
        keys
    }

    pub(crate) fn features(&self) -> &Features {
        &self.features
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Notes the run loop's turn: each has its own budget.
    pub(crate) fn turn_begins(&mut self, turn: u64) {
        if self.turn != turn {
            self.turn = turn;
            self.budget = BUDGET;
        }
    }

    /// Whether the turn ended before there was nothing more to take.
    pub(crate) fn has_more(&self) -> bool {
        self.budget == 0
    }

    /// Takes the answers to what was sent; says whether a packet of any length can be sent, or
    /// (`uncut`) one that is not to be cut. If not, an event tells when there are more answers.
    pub(crate) fn has_room(&mut self, uncut: bool) -> Result<bool, Misbehaviour> {
        let length = if uncut { self.frame } else { self.longest };
        loop {
            if self.take_answers()? && self.pool.has_room(length) {
                return Ok(true);
            }
            // Answers bring slots and pages, whichever ring they come to.
            let mut come = false;
            for queue in &mut self.list {
                come |= queue.tx.await_answers()?;
            }
            if !come {
                return Ok(false);
            }
            // They are taken before the next look, and nothing new is asked: it comes to an end.
        }
    }

    /// Takes the answers to what was sent; says whether all rings have slots.
    fn take_answers(&mut self) -> Result<bool, Misbehaviour> {
        let mut slots = true;
        for queue in &mut self.list {
            let sent = &mut self.counters.sent;
            self.useful |= queue.tx.take_answers(&mut self.pool, sent)?;
            slots &= queue.tx.has_slots();
        }
        Ok(slots)
    }

    /// Lets go of the room that no packet takes, beyond what there may be now.
    pub(crate) fn trim(&mut self) -> Result<(), Misbehaviour> {
        // What was sent last and is answered is nobody's any more.
        self.take_answers()?;
        self.pool.trim();
        Ok(())
    }

    /// Takes room for a frame of `length` bytes.
    pub(crate) fn take_room(&mut self, length: usize) -> Option<Room<H>> {
        let room = if length <= self.longest {
            self.pool.take(length)
        } else {
            None
        };
        if room.is_none() {
            self.counters.sent.drops += 1;
        }
        room
    }

    pub(crate) fn is_zeroed(&self) -> bool {
        self.pool.is_zeroed()
    }

    /// Sends the frame of `length` bytes in `room`, to the queue that `flow` names.
    pub(crate) fn send(&mut self, room: Room<H>, length: usize, work: Work, flow: usize) {
        let sent = &mut self.counters.sent;
        let Some(queue) = self.list.get_mut(flow) else {
            return;
        };
        let refused = match u16::try_from(length) {
            Ok(length) => queue.tx.send(room, length, work),
            Err(_) => Err(room),
        };
        match refused {
            Ok(()) => {
                queue.publish_sent();
                sent.packets += 1;
                sent.bytes += length as u64;
            }
            Err(room) => {
                self.pool.give(room);
                sent.drops += 1;
            }
        }
    }

    /// Takes the next packet there is into `frame`; returns its length.
    pub(crate) fn receive(&mut self, frame: &mut Vec<u8>) -> Result<Option<usize>, Misbehaviour> {
        let mut empty = 0;
        while self.budget > 0 && empty < self.list.len() {
            self.next %= self.list.len();
            let Some(queue) = self.list.get_mut(self.next) else {
                break;
            };
            let Found::Packet(packet, length) = queue.rx.take()? else {
                queue.publish_offered();
                if !queue.rx.final_check()? {
                    empty += 1;
                    self.next += 1;
                }
                continue;
            };
            empty = 0;
            // The next one is another queue's: none that never runs dry is to keep them waiting.
            self.next += 1;
            self.budget -= 1;
            self.useful = true;
            if self.budget == 0 || queue.rx.should_publish() {
                queue.publish_offered();
            }
            let received = &mut self.counters.received;
            if !is_good(queue.rx.bytes(length), packet) {
                received.errors += 1;
                continue;
            }
            received.packets += 1;
            received.bytes += length as u64;
            queue.rx.swap(frame);
            return Ok(Some(length));
        }
        Ok(None)
    }

    /// Asks for a multicast address, or not to be sent it any more; says whether there was room to
    /// ask.
    pub(crate) fn ask(&mut self, add: bool, address: [u8; 6]) -> bool {
        let Some(queue) = self.list.first_mut() else {
            return false;
        };
        let asked = queue.tx.ask(add, address);
        if asked {
            queue.publish_sent();
        }
        asked
    }

    /// Until when an event of the backend's is not to be heard.
    pub(crate) fn quiet_until(&self) -> Option<Instant> {
        self.list.iter().filter_map(Queue::quiet_until).max()
    }

    /// Whether there was an event of the backend's; if not, the task is woken when there is.
    pub(crate) fn poll_event(&self, context: &mut Context<'_>) -> bool {
        let rang = |queue: &&Queue<H>| queue.poll_event(context);
        self.list.iter().filter(rang).count() != 0
    }

    /// Counts the last event: it was of use if something was taken since.
    pub(crate) fn count_event(&mut self) {
        let useful = core::mem::take(&mut self.useful);
        for queue in &self.list {
            queue.count_event(useful);
        }
    }

    /// Ends it: nothing is sent or received any more. What the backend may still come to stays as
    /// it is; that many pages are returned.
    pub(crate) fn end(&mut self) -> usize {
        self.list.iter_mut().for_each(Queue::close);
        self.pool.shrink();
        self.list.iter().map(Queue::pages).sum()
    }

    fn ring_pages(&self) -> impl Iterator<Item = &Granted<H>> {
        self.list.iter().flat_map(Queue::ring_pages)
    }

    /// Whether the backend still maps any page of the rings.
    pub(crate) fn is_mapped(&self) -> bool {
        self.ring_pages().any(Granted::is_mapped)
    }

    /// Counts as parked what the backend has had for long enough.
    pub(crate) fn park(&self) {
        self.list.iter().for_each(Queue::park);
    }
}

/// Whether a received packet is one; sees to its checksum.
fn is_good(frame: &mut [u8], packet: Packet) -> bool {
    (ETHERNET..=ETHERNET + LONGEST).contains(&frame.len())
        && !packet.refused
        && offload::accept(frame, packet.blank, packet.validated)
}
