//! Pages that packets to be sent are written into, granted for as long as the connection lasts.
//!
//! They come in two sizes: one page for ordinary packets, and as many as the longest packet needs,
//! made only when one is asked for. A packet's pages are used again only when all of its slots are
//! answered.

use alloc::vec::Vec;
use core::fmt;

use hv::{DomId, Hypervisor, PAGE_SIZE};
use pv::{GrantRefusal, GrantedSpan, Pv};
use xen_abi::io::netif::MAX_TX_SIZE;

/// Pages of the longest packet.
const LONG: usize = MAX_TX_SIZE.div_ceil(PAGE_SIZE);
/// The share of the domain's memory that short packets may take; long ones may take half of it.
const SHARE: usize = 16;
/// The most short packets.
const MOST_SHORT: usize = 256;
/// The most long ones: what a ring of 256 entries holds.
const MOST_LONG: usize = 15;

/// What is zero before a packet is written: its headers. smoltcp leaves bytes of them as they were,
/// those without use in ICMP's; they go to whoever the packet is for.
const HEADERS: usize = 128;

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPage {
    Memory,
    Grant(GrantRefusal),
}

impl fmt::Display for NoPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("out of memory"),
            Self::Grant(refusal) => refusal.fmt(f),
        }
    }
}

/// Room for one packet.
pub(crate) struct Room<H: Hypervisor> {
    span: GrantedSpan<H>,
    /// Bytes from here on are zero.
    used: usize,
}

/// Room that no packet takes, and the means to make more.
pub(crate) struct Pool<H: Hypervisor> {
    pv: Pv<H>,
    peer: DomId,
    short: Stock<H>,
    long: Stock<H>,
    /// The administrator does not trust the backend (`trusted=0`): it may see the bytes of a packet
    /// and not those of an earlier one, even though that was sent to it too.
    zeroed: bool,
}

/// Room of one size.
struct Stock<H: Hypervisor> {
    free: Vec<Room<H>>,
    pages: usize,
    made: usize,
    most: usize,
}

impl<H: Hypervisor> Stock<H> {
    fn new(pages: usize, most: usize) -> Self {
        Self {
            free: Vec::with_capacity(most),
            pages,
            made: 0,
            most,
        }
    }

    /// How many there may be now: one, when memory is wanted for something else.
    fn most(&self, pv: &Pv<H>) -> usize {
        if pv.scarcity.is() {
            self.most.min(1)
        } else {
            self.most
        }
    }

    /// Takes one back, or lets go of it if there are too many.
    fn give(&mut self, pv: &Pv<H>, room: Room<H>) {
        if self.made > self.most(pv) {
            self.made -= 1;
        } else {
            self.free.push(room);
        }
    }

    /// Lets go of free ones beyond what there may be now.
    fn trim(&mut self, pv: &Pv<H>) {
        // The first ones were not used for the longest time.
        let beyond = self.made.saturating_sub(self.most(pv)).min(self.free.len());
        self.made -= beyond;
        self.free.drain(..beyond);
    }

    /// Sees to it that one is free.
    fn ensure(&mut self, pv: &Pv<H>, peer: DomId) -> Result<bool, NoPage> {
        if self.free.is_empty() {
            if self.made >= self.most(pv) {
                return Ok(false);
            }
            let span = pv.hv.alloc_span(self.pages).ok_or(NoPage::Memory)?;
            let span = pv.grants.grant_span(span, peer).map_err(NoPage::Grant)?;
            self.made += 1;
            self.free.push(Room { span, used: 0 });
        }
        Ok(true)
    }
}

impl<H: Hypervisor> Pool<H> {
    /// A pool with room for one packet, for a long one too if there may be `long` ones. So one can
    /// always be sent, whatever the rest of the domain uses.
    pub(crate) fn new(pv: &Pv<H>, peer: DomId, long: bool, zeroed: bool) -> Result<Self, NoPage> {
        let share = pv.hv.memory_use().total / SHARE;
        let most_long = if long {
            (share / 2 / LONG).clamp(1, MOST_LONG)
        } else {
            0
        };
        let mut pool = Self {
            pv: pv.clone(),
            peer,
            short: Stock::new(1, share.clamp(1, MOST_SHORT)),
            long: Stock::new(LONG, most_long),
            zeroed,
        };
        pool.short.ensure(pv, peer)?;
        if long {
            pool.long.ensure(pv, peer)?;
        }
        Ok(pool)
    }

    /// Whether there is room for a packet of up to `length` bytes, of those that there may be.
    pub(crate) fn has_room(&mut self, length: usize) -> bool {
        let Self {
            pv,
            peer,
            short,
            long,
            ..
        } = self;
        short.ensure(pv, *peer) == Ok(true)
            && (length <= PAGE_SIZE || long.ensure(pv, *peer) == Ok(true))
    }

    /// Takes room for a packet of `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Option<Room<H>> {
        if length <= PAGE_SIZE {
            self.short.free.pop()
        } else if length <= MAX_TX_SIZE {
            self.long.free.pop()
        } else {
            None
        }
    }

    /// Takes back room whose packet is answered, or was never sent.
    pub(crate) fn give(&mut self, room: Room<H>) {
        if room.span.pages() == self.short.pages {
            self.short.give(&self.pv, room);
        } else {
            self.long.give(&self.pv, room);
        }
    }

    /// Lets go of free room beyond what there may be now.
    pub(crate) fn trim(&mut self) {
        self.short.trim(&self.pv);
        self.long.trim(&self.pv);
    }

    /// Whether nothing of earlier packets may be seen.
    pub(crate) fn is_zeroed(&self) -> bool {
        self.zeroed
    }

    /// Lets go of the room that no packet takes.
    pub(crate) fn shrink(&mut self) {
        self.short.free.clear();
        self.long.free.clear();
    }
}

impl<H: Hypervisor> Room<H> {
    /// Parks the pages, for which the peer may still come.
    pub(crate) fn park(&self) {
        self.span.park();
    }

    /// What the peer maps the pages by.
    pub(crate) fn references(&self) -> impl Iterator<Item = hv::GrantRef> {
        self.span.references()
    }

    /// Has `fill` write a packet of `length` bytes, which it has room for; where its headers are,
    /// it finds zeros. The bytes that an
    /// earlier packet left behind it become zero if they are to.
    pub(crate) fn write<R>(
        &mut self,
        length: usize,
        zeroed: bool,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let used = core::mem::replace(&mut self.used, length);
        self.span.write(|bytes| {
            if zeroed && let Some(left) = bytes.get_mut(length..used) {
                left.fill(0);
            }
            let (packet, _) = bytes.split_at_mut(length.min(bytes.len()));
            let (headers, _) = packet.split_at_mut(HEADERS.min(packet.len()));
            headers.fill(0);
            fill(packet)
        })
    }
}
