//! The TCP connections of an interface.
//!
//! Each has a set of sockets of its own, so that a packet is led to it without a search through all
//! of them, and a turn looks only at those that have something to do, one after the other.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use hv::Instant;
use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp;

use crate::frame::Tuple;
use crate::growth::{Growth, Pieces};
use crate::sequence::Sequence;

/// Names a connection of an interface; of one that is gone it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnId {
    index: usize,
    number: u64,
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The listener's at this port, and the peer has not proved that it is there.
    HalfOpen(u16),
    /// The listener's at this port; nobody accepted it yet.
    Ready(u16),
    /// An application's.
    Stream,
    /// Nobody's: it is being closed, and is ended if its peer does not take more by then.
    Orphan {
        /// When.
        end: Instant,
        /// What was still to be sent when that was decided.
        queued: usize,
        /// When it is ended in any case.
        last: Instant,
    },
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) set: SocketSet<'static>,
    handle: SocketHandle,
    pub(crate) tuple: Tuple,
    pub(crate) owner: Owner,
    /// Bytes of each of its buffers.
    pub(crate) size: usize,
    number: u64,
    sequence: Sequence,
    growth: Growth,
    /// It stands in the queue.
    active: bool,
    /// It stands among those that wait to hear where their neighbour is.
    waiting: bool,
    due: Option<Instant>,
}

impl Conn {
    pub(crate) fn socket(&self) -> &tcp::Socket<'static> {
        self.set.get(self.handle)
    }

    pub(crate) fn socket_mut(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// What the stack is to hear before the segment in `frame`.
    pub(crate) fn pieces(&mut self, frame: &[u8], segment: usize) -> Option<Pieces> {
        self.growth.hear(frame, self.sequence.sent(), segment)
    }
}

/// The connections, which of them have something to do now, and when the others will.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    slots: Vec<Option<Box<Conn>>>,
    free: Vec<usize>,
    by_tuple: BTreeMap<Tuple, usize>,
    active: VecDeque<usize>,
    due: BTreeSet<(Instant, usize)>,
    /// Those that wait to hear where their neighbour is.
    waiting: Vec<usize>,
    next_number: u64,
}

impl Conns {
    /// Adds a connection. `socket`'s buffers have `size` bytes each.
    pub(crate) fn add(
        &mut self,
        socket: tcp::Socket<'static>,
        tuple: Tuple,
        owner: Owner,
        size: usize,
    ) -> ConnId {
        let mut set = SocketSet::new(vec![SocketStorage::EMPTY]);
        let handle = set.add(socket);
        self.next_number += 1;
        let number = self.next_number;
        let conn = Box::new(Conn {
            set,
            handle,
            tuple,
            owner,
            size,
            number,
            sequence: Sequence::default(),
            growth: Growth::default(),
            active: false,
            waiting: false,
            due: None,
        });
        let index = self.free.pop().unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(Some(conn));
        } else if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(conn);
        }
        self.by_tuple.insert(tuple, index);
        ConnId { index, number }
    }

    /// Takes a connection out.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Box<Conn>> {
        self.get(id)?;
        let conn = self.slots.get_mut(id.index)?.take()?;
        if self.by_tuple.get(&conn.tuple) == Some(&id.index) {
            self.by_tuple.remove(&conn.tuple);
        }
        if let Some(due) = conn.due {
            self.due.remove(&(due, id.index));
        }
        if conn.active {
            self.active.retain(|index| *index != id.index);
        }
        if conn.waiting {
            self.waiting.retain(|index| *index != id.index);
        }
        self.free.push(id.index);
        Some(conn)
    }

    pub(crate) fn get(&self, id: ConnId) -> Option<&Conn> {
        let conn = self.slots.get(id.index)?.as_deref()?;
        (conn.number == id.number).then_some(conn)
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        let conn = self.slots.get_mut(id.index)?.as_deref_mut()?;
        (conn.number == id.number).then_some(conn)
    }

    /// How far a connection has sent.
    pub(crate) fn sequence(&self, id: ConnId) -> Sequence {
        self.get(id).map(|conn| conn.sequence).unwrap_or_default()
    }

    pub(crate) fn set_sequence(&mut self, id: ConnId, sequence: Sequence) {
        if let Some(conn) = self.get_mut(id) {
            conn.sequence = sequence;
        }
    }

    pub(crate) fn find(&self, tuple: &Tuple) -> Option<ConnId> {
        let index = *self.by_tuple.get(tuple)?;
        let number = self.slots.get(index)?.as_ref()?.number;
        Some(ConnId { index, number })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.slots.iter().flatten().map(|conn| &**conn)
    }

    pub(crate) fn ids(&self) -> Vec<ConnId> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter_map(|(index, slot)| {
                let number = slot.as_ref()?.number;
                Some(ConnId { index, number })
            })
            .collect()
    }

    /// Has the connection looked at in the next turn.
    pub(crate) fn activate(&mut self, id: ConnId) {
        if let Some(conn) = self.get_mut(id)
            && !core::mem::replace(&mut conn.active, true)
        {
            self.active.push_back(id.index);
        }
    }

    pub(crate) fn activate_all(&mut self) {
        for id in self.ids() {
            self.activate(id);
        }
    }

    /// A connection waits to hear where its neighbour is, until it has sent something.
    pub(crate) fn wait_for_neighbor(&mut self, id: ConnId) {
        if let Some(conn) = self.get_mut(id)
            && !core::mem::replace(&mut conn.waiting, true)
        {
            self.waiting.push(id.index);
        }
    }

    /// It has sent something.
    pub(crate) fn has_sent(&mut self, id: ConnId) {
        if let Some(conn) = self.get_mut(id)
            && core::mem::replace(&mut conn.waiting, false)
        {
            self.waiting.retain(|index| *index != id.index);
        }
    }

    /// A neighbour spoke: it may be one that is waited for, or another.
    pub(crate) fn neighbor_seen(&mut self) {
        for index in &self.waiting {
            if let Some(conn) = self.slots.get_mut(*index).and_then(Option::as_deref_mut)
                && !core::mem::replace(&mut conn.active, true)
            {
                self.active.push_back(*index);
            }
        }
    }

    /// How many wait to hear where their neighbour is.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next one that has something to do.
    pub(crate) fn next_active(&mut self) -> Option<ConnId> {
        loop {
            let index = self.active.pop_front()?;
            if let Some(conn) = self.slots.get_mut(index).and_then(Option::as_deref_mut) {
                conn.active = false;
                let number = conn.number;
                return Some(ConnId { index, number });
            }
        }
    }

    /// Puts one back that found no room, to be the first again.
    pub(crate) fn put_back(&mut self, id: ConnId) {
        if let Some(conn) = self.get_mut(id)
            && !core::mem::replace(&mut conn.active, true)
        {
            self.active.push_front(id.index);
        }
    }

    pub(crate) fn has_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// Sets when a connection has something to do next.
    pub(crate) fn set_due(&mut self, id: ConnId, due: Option<Instant>) {
        let Some(conn) = self.get_mut(id) else { return };
        let before = core::mem::replace(&mut conn.due, due);
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&(before, id.index));
        }
        if let Some(due) = due {
            self.due.insert((due, id.index));
        }
    }

    /// Activates those whose time has come.
    pub(crate) fn fire(&mut self, now: Instant) {
        while let Some((due, index)) = self.due.first().copied()
            && due <= now
        {
            self.due.pop_first();
            if let Some(conn) = self.slots.get_mut(index).and_then(Option::as_deref_mut) {
                conn.due = None;
                if !core::mem::replace(&mut conn.active, true) {
                    self.active.push_back(index);
                }
            }
        }
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }
}
