//! The stack: all interfaces, and what they share.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::task::Waker;
use core::time::Duration;

use exec::{Executor, Log, Notify};
use hv::Instant;
use smoltcp::socket::tcp;
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::address::AddressSetting;
use crate::capture::Taps;
use crate::conn::{ConnId, Owner};
use crate::frame::Tuple;
use crate::interface::Iface;
use crate::listener::{Listener, Peers, Pending, Place, backlog};
use crate::pool::Pool;

/// How long a peer may leave the greeting unanswered.
const GREETING: Duration = Duration::from_secs(10);
/// How long a peer may leave anything else unanswered, and how often a silent one is asked: five
/// times before it is over. What it asks itself meanwhile is no answer to smoltcp, and where one
/// frame of a hundred is lost, two answers in a row are lost within a day.
const SILENCE: Duration = Duration::from_secs(60);
const KEEP_ALIVE: Duration = Duration::from_secs(11);
/// How long a connection that nobody has any more may stand still before it is ended.
const LINGER: Duration = Duration::from_secs(30);
/// How long it may take in all, however little its peer takes at a time.
const LINGER_MOST: Duration = Duration::from_secs(300);
/// How long its end may take.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The time now, on the domain's clock and on the wall's.
pub(crate) type Clock = Box<dyn Fn() -> (Instant, Duration)>;

/// What every part of the network has a handle to.
pub(crate) struct Shared {
    pub(crate) stack: RefCell<Stack>,
    pub(crate) exec: Executor,
    pub(crate) clock: Clock,
}

/// All interfaces, and what they share.
pub(crate) struct Stack {
    pub(crate) ifaces: Vec<Iface>,
    pub(crate) common: Common,
    pub(crate) next_iface: u32,
}

/// What interfaces share.
pub(crate) struct Common {
    pub(crate) settings: Vec<AddressSetting>,
    pub(crate) listeners: BTreeMap<u16, Listener>,
    pub(crate) pool: Pool,
    pub(crate) peers: Peers,
    pub(crate) udp: BTreeMap<u64, UdpPort>,
    pub(crate) taps: Taps,
    pub(crate) log: Log,
    pub(crate) random: Box<dyn Fn() -> u64>,
    /// Connections that were not taken for want of a place.
    pub(crate) overflows: u64,
}

/// A UDP port that an application has.
pub(crate) struct UdpPort {
    pub(crate) port: u16,
    /// Who waits for a datagram, and is told of an interface that comes.
    pub(crate) reader: Option<Waker>,
}

/// A connection, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) iface: u32,
    pub(crate) conn: ConnId,
}

impl Stack {
    pub(crate) fn iface(&mut self, id: u32) -> Option<&mut Iface> {
        self.ifaces.iter_mut().find(|iface| iface.id == id)
    }

    /// The interface with this number, and what all share.
    pub(crate) fn parts(&mut self, id: u32) -> Option<(&mut Iface, &mut Common)> {
        let iface = self.ifaces.iter_mut().find(|iface| iface.id == id)?;
        Some((iface, &mut self.common))
    }

    /// The interface that leads to `to`. None leads to an address of the domain's own.
    pub(crate) fn way_to(&mut self, to: IpAddress) -> Option<&mut Iface> {
        let mut ifaces = self.ifaces.iter();
        if ifaces.any(|iface| iface.smol.has_ip_addr(to)) {
            return None;
        }
        let leading = self
            .ifaces
            .iter_mut()
            .filter(|iface| iface.leads_to(to) > 0);
        // The first of the best.
        leading.rev().max_by_key(|iface| iface.leads_to(to))
    }

    /// The socket of a connection.
    pub(crate) fn socket(&mut self, key: Key) -> Option<&mut tcp::Socket<'static>> {
        Some(self.iface(key.iface)?.conns.get_mut(key.conn)?.socket_mut())
    }

    /// Has a connection looked at by the task that moves its packets.
    pub(crate) fn activate(&mut self, key: Key) {
        if let Some(iface) = self.iface(key.iface) {
            iface.activate(key.conn);
        }
    }

    /// Nobody has the connection any more: it closes in the background.
    pub(crate) fn release(&mut self, key: Key, now: Instant) {
        if let Some(iface) = self.iface(key.iface) {
            iface.release(key.conn, now);
        }
    }

    /// Takes the next connection at `port` that nobody accepted yet.
    pub(crate) fn accept(&mut self, port: u16) -> Option<(Key, IpEndpoint)> {
        loop {
            let listener = self.common.listeners.get_mut(&port)?;
            let Pending { iface, conn, .. } = listener.ready.pop_front()?;
            let taken = self.iface(iface)?.conns.get_mut(conn);
            // One that was reset meanwhile is not in the queue, as a rule.
            if let Some(taken) = taken {
                taken.owner = Owner::Stream;
                return Some((Key { iface, conn }, taken.tuple.remote));
            }
        }
    }

    /// Nobody listens at `port` any more.
    pub(crate) fn close_listener(&mut self, port: u16, now: Instant) {
        self.common.listeners.remove(&port);
        for iface in &mut self.ifaces {
            for id in iface.conns.ids() {
                let owner = iface.conns.get(id).map(|conn| conn.owner);
                if matches!(owner, Some(Owner::HalfOpen(of) | Owner::Ready(of)) if of == port) {
                    iface.abort(id, now);
                }
            }
        }
    }

    /// Ends everything on an interface that is no more.
    pub(crate) fn remove_iface(&mut self, name: &str) -> bool {
        let Some(index) = self.ifaces.iter().position(|iface| iface.name == name) else {
            return false;
        };
        let mut iface = self.ifaces.remove(index);
        iface.close_udp();
        for id in iface.conns.ids() {
            if let Some(conn) = iface.conns.get_mut(id) {
                // It tells whoever waits for it.
                conn.socket_mut().abort();
            }
            iface.remove(&mut self.common, id);
        }
        iface.work.notify();
        true
    }
}

impl Iface {
    /// A connection that a peer asks for, if somebody listens and there is a place; `Err` if the
    /// peer is to be told nothing, and asks again.
    pub(crate) fn admit(
        &mut self,
        common: &mut Common,
        tuple: Tuple,
        now: Instant,
    ) -> Result<Option<ConnId>, ()> {
        let port = tuple.local.port;
        let limit = common.pool.limit();
        let backlog = backlog(limit);
        let Some(listener) = common.listeners.get_mut(&port) else {
            return Ok(None);
        };
        let peer = tuple.remote.addr;
        let of_peer = common.peers.count(peer);
        let place = listener.place(self.id, peer, backlog, now);
        if place == Place::None || of_peer >= limit / 2 {
            common.overflows += 1;
            return Err(());
        }
        // Who only greets gets no more than the least.
        self.admitted += 1;
        let modest = listener.half_open.len() > 8 || self.admitted > 8;
        if let Place::Instead(oldest) = place {
            common.overflows += 1;
            self.remove(common, oldest);
        }
        let Some(size) = common.pool.take(modest) else {
            common.overflows += 1;
            return Err(());
        };
        let Some(mut socket) = make_socket(size) else {
            common.pool.give_back(size);
            common.overflows += 1;
            return Err(());
        };
        // Set later, it would be sent at once.
        socket.set_keep_alive(Some(KEEP_ALIVE.into()));
        socket.set_timeout(Some(GREETING.into()));
        if socket.listen(port).is_err() {
            common.pool.give_back(size);
            return Err(());
        }
        common.peers.add(peer);
        let id = self.conns.add(socket, tuple, Owner::HalfOpen(port), size);
        if let Some(listener) = common.listeners.get_mut(&port) {
            let pending = Pending::new(self.id, id, peer, now);
            listener.half_open.push_back(pending);
        }
        Ok(Some(id))
    }

    /// Adds a connection that an application makes.
    pub(crate) fn open(
        &mut self,
        common: &mut Common,
        tuple: Tuple,
    ) -> Result<ConnId, crate::NetError> {
        use crate::NetError;
        let size = common.pool.take(false).ok_or(NetError::Full)?;
        let Some(mut socket) = make_socket(size) else {
            common.pool.give_back(size);
            return Err(NetError::Full);
        };
        set_patience(&mut socket);
        let connected = socket.connect(self.smol.context(), tuple.remote, tuple.local);
        if connected.is_err() {
            common.pool.give_back(size);
            return Err(NetError::BadAddress);
        }
        common.peers.add(tuple.remote.addr);
        let id = self.conns.add(socket, tuple, Owner::Stream, size);
        self.activate(id);
        Ok(id)
    }

    /// Takes a connection out, and gives back what it had.
    pub(crate) fn remove(&mut self, common: &mut Common, id: ConnId) {
        let Some(conn) = self.conns.remove(id) else {
            return;
        };
        common.pool.give_back(conn.size);
        common.peers.remove(conn.tuple.remote.addr);
        match conn.owner {
            Owner::HalfOpen(port) | Owner::Ready(port) => {
                if let Some(listener) = common.listeners.get_mut(&port) {
                    listener.forget(self.id, id);
                }
            }
            Owner::Stream | Owner::Orphan { .. } => {}
        }
    }

    /// Nobody has the connection any more: it closes in the background.
    pub(crate) fn release(&mut self, id: ConnId, now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.owner != Owner::Stream {
            // It was reset before.
            return;
        }
        let socket = conn.socket_mut();
        socket.close();
        let queued = socket.send_queue();
        conn.owner = Owner::Orphan {
            end: now.after(LINGER),
            queued,
            last: now.after(LINGER_MOST),
        };
        self.activate(id);
    }

    /// Resets a connection, which is nobody's from now on.
    pub(crate) fn abort(&mut self, id: ConnId, now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        conn.socket_mut().abort();
        conn.owner = Owner::Orphan {
            end: now.after(LAST_WORD),
            queued: 0,
            last: now.after(LAST_WORD),
        };
        self.activate(id);
    }

    /// After a connection was polled: what has become of it.
    pub(crate) fn settle(&mut self, common: &mut Common, id: ConnId, now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let owner = conn.owner;
        let state = conn.socket().state();
        let over = state == tcp::State::Closed && conn.socket().local_endpoint().is_none();
        match owner {
            _ if over && owner != Owner::Stream => self.remove(common, id),
            Owner::HalfOpen(_) if state == tcp::State::Listen => self.remove(common, id),
            Owner::HalfOpen(port) | Owner::Ready(port) if state == tcp::State::Closed => {
                conn.owner = Owner::Orphan {
                    end: now.after(LAST_WORD),
                    queued: 0,
                    last: now.after(LAST_WORD),
                };
                if let Some(listener) = common.listeners.get_mut(&port) {
                    listener.forget(self.id, id);
                }
            }
            Owner::HalfOpen(_) if state == tcp::State::SynReceived => {}
            Owner::HalfOpen(port) => {
                conn.owner = Owner::Ready(port);
                let peer = conn.tuple.remote.addr;
                conn.socket_mut().set_timeout(Some(SILENCE.into()));
                if let Some(listener) = common.listeners.get_mut(&port) {
                    listener.forget(self.id, id);
                    listener
                        .ready
                        .push_back(Pending::new(self.id, id, peer, now));
                    listener.changed.notify();
                }
            }
            Owner::Ready(_) | Owner::Stream => {}
            Owner::Orphan { end, queued, last } => {
                self.settle_orphan(common, id, now, (end, queued, last));
            }
        }
    }

    fn settle_orphan(
        &mut self,
        common: &mut Common,
        id: ConnId,
        now: Instant,
        (end, queued, last): (Instant, usize, Instant),
    ) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let socket = conn.socket_mut();
        // What comes is for nobody; but the peer's end may be behind it.
        while socket.can_recv() && socket.recv(|bytes| (bytes.len(), ())).is_ok() {}
        let (state, still) = (socket.state(), socket.send_queue());
        let crowded = common.pool.is_crowded();
        if state == tcp::State::TimeWait && crowded || state == tcp::State::Closed && now >= end {
            return self.remove(common, id);
        }
        if now >= end && state != tcp::State::TimeWait {
            return self.abort(id, now);
        }
        if still < queued {
            conn.owner = Owner::Orphan {
                end: now.after(LINGER).min(last),
                queued: still,
                last,
            };
        }
    }
}

/// A socket that sends from `size` bytes and receives into nearly as many; `None` if there is no
/// memory for it in one piece.
///
/// What is received has room for 65,535 units of the window's scale, and not for the 65,536 that
/// `size` may be: in what smoltcp reckons with, the window of the greeting is 65,535 units, and a
/// peer may fill it before it is told of another. There must be room for that.
fn make_socket(size: usize) -> Option<tcp::Socket<'static>> {
    let receive = buffer(size - (size >> 16))?;
    let mut socket = tcp::Socket::new(receive, buffer(size)?);
    // Whoever writes little pieces wants them sent.
    socket.set_nagle_enabled(false);
    Some(socket)
}

fn buffer(size: usize) -> Option<tcp::SocketBuffer<'static>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).ok()?;
    bytes.resize(size, 0);
    Some(tcp::SocketBuffer::new(bytes))
}

/// What a connection's peer may do.
fn set_patience(socket: &mut tcp::Socket<'_>) {
    socket.set_timeout(Some(SILENCE.into()));
    socket.set_keep_alive(Some(KEEP_ALIVE.into()));
}

/// Tells everybody who waits for datagrams that there is one more interface.
pub(crate) fn wake_readers(common: &mut Common) {
    for port in common.udp.values_mut() {
        if let Some(reader) = port.reader.take() {
            reader.wake();
        }
    }
}

/// What a task waits for that accepts at `port`.
pub(crate) fn listener_changed(common: &Common, port: u16) -> Option<Rc<Notify>> {
    Some(common.listeners.get(&port)?.changed.clone())
}

/// Whether one can speak to `address`.
pub(crate) fn is_peer(address: IpAddress) -> bool {
    match address {
        IpAddress::Ipv4(address) => crate::frame::is_host(address),
        IpAddress::Ipv6(address) => crate::frame::is_host_v6(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_there_is_no_memory_for_is_none() {
        assert!(make_socket(usize::MAX / 4).is_none());
    }

    #[test]
    fn what_is_received_is_no_more_than_the_largest_window_says() {
        for bits in 12..19 {
            let capacity = make_socket(1 << bits).unwrap().recv_capacity();
            assert!(capacity >> (bits.max(16) - 16) <= 65_535, "{capacity}");
            assert!(capacity > (1 << bits) - 8, "{capacity}");
        }
    }
}
