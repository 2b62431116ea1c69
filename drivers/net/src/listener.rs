//! Who waits for connections, and how many may wait for them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use core::time::Duration;

use exec::Notify;
use hv::Instant;
use smoltcp::wire::IpAddress;

use crate::conn::ConnId;
use crate::peer;

/// Connections at one port of one interface that are not accepted yet, at most; half of it for one
/// peer.
const BACKLOG: usize = 512;
/// How long a peer has to prove that it is there before another may have its place. It may have to
/// be looked for first, and smoltcp looks for one neighbour a second.
const PROOF: Duration = Duration::from_secs(4);

/// A connection that nobody accepted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) iface: u32,
    pub(crate) conn: ConnId,
    peer: IpAddress,
    since: Instant,
}

impl Pending {
    pub(crate) fn new(iface: u32, conn: ConnId, peer: IpAddress, since: Instant) -> Self {
        let peer = peer::of(peer);
        Self {
            iface,
            conn,
            peer,
            since,
        }
    }
}

/// A port that connections are accepted at.
#[derive(Default)]
pub(crate) struct Listener {
    /// Connections that nobody accepted yet.
    pub(crate) ready: VecDeque<Pending>,
    /// Connections whose peers have not proved yet that they are there, the oldest first.
    pub(crate) half_open: VecDeque<Pending>,
    /// Somebody waits for a connection.
    pub(crate) changed: Rc<Notify>,
}

/// What becomes of one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// There is room for it.
    Free,
    /// There is if this half-open one is forgotten.
    Instead(ConnId),
    /// There is none.
    None,
}

impl Listener {
    /// The place for one more connection of `peer`'s on `iface`, where `backlog` may wait on each
    /// interface: half of it for one peer. Who has had its time to prove that it is there makes
    /// room, so that greetings that nobody means keep nobody out.
    pub(crate) fn place(&self, iface: u32, peer: IpAddress, backlog: usize, now: Instant) -> Place {
        let here = |pending: &&Pending| pending.iface == iface;
        let peer = peer::of(peer);
        let ready = self.ready.iter().filter(here);
        let half_open = self.half_open.iter().filter(here);
        let mut all = ready.clone().chain(half_open.clone());
        let count = all.clone().count();
        let of_peer = all.by_ref().filter(|pending| pending.peer == peer).count();
        if of_peer >= backlog / 2 {
            return Place::None;
        }
        if count < backlog {
            return Place::Free;
        }
        let mut half_open = half_open.filter(|pending| pending.since.after(PROOF) <= now);
        half_open
            .next()
            .map_or(Place::None, |oldest| Place::Instead(oldest.conn))
    }

    /// The connection is none any more that nobody accepted.
    pub(crate) fn forget(&mut self, iface: u32, conn: ConnId) {
        let other = |pending: &Pending| pending.iface != iface || pending.conn != conn;
        self.ready.retain(other);
        self.half_open.retain(other);
    }
}

/// How many connections each peer has.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    of: BTreeMap<IpAddress, usize>,
}

impl Peers {
    pub(crate) fn add(&mut self, peer: IpAddress) {
        *self.of.entry(peer::of(peer)).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, peer: IpAddress) {
        let peer = peer::of(peer);
        if let Some(count) = self.of.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&peer);
            }
        }
    }

    pub(crate) fn count(&self, peer: IpAddress) -> usize {
        self.of.get(&peer::of(peer)).copied().unwrap_or(0)
    }
}

/// How many connections may wait at one port where there may be `limit` in all.
pub(crate) fn backlog(limit: usize) -> usize {
    BACKLOG.min(limit / 4).max(2)
}
