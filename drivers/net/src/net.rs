//! The network as applications see it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::time::Duration;

use exec::{Executor, Log, info};
use hv::{Hypervisor, Instant, PAGE_SIZE};
use netfront::{Event, Netfront};
use pv::Pv;
use smoltcp::wire::{EthernetAddress, IpAddress, IpEndpoint};

use crate::capture::Taps;
use crate::devices::capabilities;
use crate::frame::Tuple;
use crate::interface::{Iface, Parts};
use crate::listener::{Listener, Peers};
use crate::pool::Pool;
use crate::stack::{Common, Key, Shared, Stack, UdpPort, is_peer, wake_readers};
use crate::wire::Wire;
use crate::{
    AddressSetting, Capture, InterfaceStatus, NetError, Ping, SocketStatus, TcpListener, TcpStream,
    UdpSocket, resolve, status, turn, udp,
};

/// How long a peer may take to answer that one connects to.
const CONNECTING: Duration = Duration::from_secs(30);
/// Ports for those who do not care (RFC 6335).
const EPHEMERAL: core::ops::Range<u16> = 49_152..65_535;
/// UDP ports that there may be.
const UDP_PORTS: usize = 64;

/// The network. A handle; clones speak for the same one.
///
/// Without an interface it costs next to nothing: everything may be called, listeners wait, and
/// connecting fails at once.
#[derive(Clone)]
pub struct Net {
    shared: Rc<Shared>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}

/// What a network is put into, where it is no domain.
pub struct Surroundings {
    /// Tasks and time.
    pub exec: Executor,
    /// The log.
    pub log: Log,
    /// Bytes of memory that there are.
    pub memory: usize,
    /// Bytes of it that the heap can still take.
    pub free: Box<dyn Fn() -> usize>,
    /// Numbers that nobody can guess.
    pub random: Box<dyn Fn() -> u64>,
    /// The time now: on the clock of `exec`, and since 1970.
    pub clock: Box<dyn Fn() -> (Instant, Duration)>,
    /// What `ip=` says.
    pub addresses: Vec<AddressSetting>,
}

impl Net {
    /// A network without interfaces. To be called once per domain.
    #[must_use]
    pub fn new<H: Hypervisor>(pv: &Pv<H>, addresses: Vec<AddressSetting>) -> Self {
        let (memory, random, clock) = (pv.hv.clone(), pv.hv.clone(), pv.hv.clone());
        let free = move || memory.heap_room();
        Self::assemble(Surroundings {
            exec: pv.exec.clone(),
            log: pv.log.clone(),
            memory: pv.hv.memory_use().total * PAGE_SIZE,
            free: Box::new(free),
            random: Box::new(move || random.random()),
            clock: Box::new(move || (clock.now(), clock.wall_clock())),
            addresses,
        })
    }

    /// A network without interfaces, and without a domain.
    #[must_use]
    pub fn assemble(around: Surroundings) -> Self {
        let common = Common {
            settings: around.addresses,
            listeners: BTreeMap::new(),
            pool: Pool::new(around.memory, around.free),
            peers: Peers::default(),
            udp: BTreeMap::new(),
            taps: Taps::default(),
            log: around.log,
            random: around.random,
            overflows: 0,
        };
        let stack = Stack {
            ifaces: Vec::new(),
            common,
            next_iface: 0,
        };
        let shared = Shared {
            stack: RefCell::new(stack),
            exec: around.exec,
            clock: around.clock,
        };
        Self {
            shared: Rc::new(shared),
        }
    }

    /// The network over `netfront`'s interfaces, as they come and go. To be called once per domain.
    #[must_use]
    pub fn start<H: Hypervisor>(
        pv: &Pv<H>,
        netfront: &Netfront<H>,
        addresses: Vec<AddressSetting>,
    ) -> Self {
        let net = Self::new(pv, addresses);
        let (served, netfront) = (net.clone(), netfront.clone());
        // Interfaces say in which groups they are.
        netfront.filter_multicast();
        pv.exec.spawn("net", async move {
            loop {
                match netfront.event().await {
                    Event::Up(link) => served.attach(link),
                    Event::Removed(name) => served.detach(&name),
                }
            }
        });
        net
    }

    /// Gives the network an interface, or an interface that it has another wire: its sockets and
    /// addresses stay. A wire whose Ethernet address is none of one host is left alone.
    pub fn attach(&self, wire: impl Wire) {
        let now = self.shared.exec.now();
        let mut stack = self.shared.stack.borrow_mut();
        let mac = wire.mac();
        if !EthernetAddress(mac).is_unicast() || mac == [0; 6] {
            let name = wire.name();
            info!(stack.common.log, name, "its Ethernet address is none");
            return;
        }
        let hint = wire.address_hint();
        let known = stack
            .ifaces
            .iter()
            .position(|iface| iface.name == wire.name());
        let id = match known.and_then(|place| stack.ifaces.get(place)) {
            Some(iface) => iface.id,
            None => stack.next_iface,
        };
        let parts = Parts {
            id,
            name: wire.name(),
            mac,
            capabilities: capabilities(&wire),
            hint: hint.as_deref(),
        };
        let Stack {
            ifaces,
            common,
            next_iface,
        } = &mut *stack;
        let work = match known.and_then(|place| ifaces.get_mut(place)) {
            Some(iface) => iface.connect_anew(common, &parts, now),
            None => {
                *next_iface += 1;
                let iface = Iface::new(common, &parts, now);
                let work = iface.work.clone();
                ifaces.push(iface);
                ifaces.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
                wake_readers(common);
                work
            }
        };
        drop(stack);
        let task = turn::run(self.shared.clone(), id, work, wire);
        self.shared.exec.spawn("net interface", task);
    }

    /// Takes an interface away, with all its connections.
    pub fn detach(&self, name: &str) {
        let mut stack = self.shared.stack.borrow_mut();
        if stack.remove_iface(name) {
            info!(stack.common.log, name, "removed");
        }
    }

    /// Accepts connections at `port`, on every interface there is or will be.
    ///
    /// # Errors
    /// Port 0, or the port has a listener.
    pub fn listen(&self, port: u16) -> Result<TcpListener, NetError> {
        if port == 0 {
            return Err(NetError::BadAddress);
        }
        match self.shared.stack.borrow_mut().common.listeners.entry(port) {
            Entry::Occupied(_) => Err(NetError::PortInUse),
            Entry::Vacant(entry) => {
                entry.insert(Listener::default());
                Ok(TcpListener {
                    shared: self.shared.clone(),
                    port,
                })
            }
        }
    }

    /// Connects to `to`; gives up after half a minute.
    ///
    /// # Errors
    /// One cannot speak to it, no interface leads there, it refused, or it did not answer.
    pub async fn connect(&self, to: IpEndpoint) -> Result<TcpStream, NetError> {
        let stream = self.open(to)?;
        let exec = self.shared.exec.clone();
        let connected = exec.timeout(CONNECTING, stream.connected()).await;
        connected.unwrap_or(Err(NetError::TimedOut))?;
        Ok(stream)
    }

    fn open(&self, to: IpEndpoint) -> Result<TcpStream, NetError> {
        if to.port == 0 || !is_peer(to.addr) {
            return Err(NetError::BadAddress);
        }
        let mut stack = self.shared.stack.borrow_mut();
        let start = (stack.common.random)();
        let id = stack.way_to(to.addr).ok_or(NetError::Unreachable)?.id;
        let (iface, common) = stack.parts(id).ok_or(NetError::Unreachable)?;
        let local = iface.smol.get_source_address(&to.addr);
        let local = local.ok_or(NetError::Unreachable)?;
        let tuple = |port| Tuple {
            local: IpEndpoint::new(local, port),
            remote: to,
        };
        let is_free = |port: &u16| {
            !common.listeners.contains_key(port) && iface.conns.find(&tuple(*port)).is_none()
        };
        let port = ephemeral(start).find(is_free).ok_or(NetError::Full)?;
        let conn = iface.open(common, tuple(port))?;
        let key = Key { iface: id, conn };
        Ok(TcpStream::new(self.shared.clone(), key, to))
    }

    /// A socket at UDP `port`; 0 means any that is free.
    ///
    /// # Errors
    /// The port is taken, or there are too many.
    pub fn udp(&self, port: u16) -> Result<UdpSocket, NetError> {
        let mut stack = self.shared.stack.borrow_mut();
        let Stack { ifaces, common, .. } = &mut *stack;
        if common.udp.len() >= UDP_PORTS {
            return Err(NetError::Full);
        }
        // DHCP has its own.
        let taken = |port: &u16| {
            *port == 68
                || common.udp.values().any(|udp| udp.port == *port)
                || ifaces.iter().any(|iface| iface.is_leaving(*port))
        };
        let port = match port {
            0 => ephemeral((common.random)())
                .find(|port| !taken(port))
                .ok_or(NetError::Full)?,
            port if taken(&port) => return Err(NetError::PortInUse),
            port => port,
        };
        let id = common.udp.last_key_value().map_or(0, |(id, _)| id + 1);
        common.udp.insert(id, UdpPort { port, reader: None });
        for iface in ifaces {
            let handle = iface.others.add(udp::make(port));
            iface.udp.push((id, handle));
        }
        Ok(UdpSocket {
            shared: self.shared.clone(),
            id,
            port,
        })
    }

    /// The addresses of `name`, IPv4 first. An address written out is its own name.
    ///
    /// # Errors
    /// There is no such name, nobody to ask, or no answer.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddress>, NetError> {
        resolve::resolve(&self.shared, name).await
    }

    /// Echo requests to `to`.
    ///
    /// # Errors
    /// One cannot speak to it, or no interface leads there.
    pub fn ping(&self, to: IpAddress) -> Result<Ping, NetError> {
        Ping::new(&self.shared, to)
    }

    /// The interfaces there are, in the order of their names.
    #[must_use]
    pub fn interfaces(&self) -> Vec<InterfaceStatus> {
        let stack = self.shared.stack.borrow();
        stack.ifaces.iter().map(Iface::status).collect()
    }

    /// The sockets there are: listeners, connections, UDP ports.
    #[must_use]
    pub fn sockets(&self) -> Vec<SocketStatus> {
        status::sockets(&self.shared.stack.borrow())
    }

    /// How many connections there are and may be, the memory they have, and how many could not be
    /// taken.
    #[must_use]
    pub fn connections(&self) -> status::Connections {
        status::connections(&self.shared.stack.borrow())
    }

    /// Connections that wait to hear where their neighbour is.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        let stack = self.shared.stack.borrow();
        stack.ifaces.iter().map(|iface| iface.conns.waiting()).sum()
    }

    /// Takes note of packets from now on: on `interface`, or on all; `snaplen` bytes of each. Of a
    /// few captures at a time the oldest takes note of nothing more.
    #[must_use]
    pub fn capture(&self, interface: Option<String>, snaplen: usize) -> Capture {
        let (now, wall) = (self.shared.clock)();
        let ahead = wall.saturating_sub(now.since_start());
        let mut stack = self.shared.stack.borrow_mut();
        stack.common.taps.open(interface, snaplen, ahead)
    }
}

/// Every port for those who do not care, from one on that `start` says.
fn ephemeral(start: u64) -> impl Iterator<Item = u16> {
    let count = u64::from(EPHEMERAL.end - EPHEMERAL.start);
    let first = (start % count) as usize;
    EPHEMERAL.cycle().skip(first).take(EPHEMERAL.len())
}
