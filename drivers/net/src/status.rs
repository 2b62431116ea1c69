//! What interfaces and sockets there are, and how they fare.

use alloc::string::String;
use alloc::vec::Vec;

use smoltcp::socket::tcp::State;
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

use crate::stack::Stack;

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// `xn0`.
    pub name: String,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// The largest IP packet, in bytes.
    pub mtu: usize,
    /// Whether it is connected to its backend and has a carrier.
    pub up: bool,
    /// Its addresses.
    pub addresses: Vec<IpCidr>,
    /// Where the ways out are.
    pub gateways: Vec<IpAddress>,
    /// Name servers.
    pub dns: Vec<IpAddress>,
    /// Where the IPv4 address comes from: `static`, `dhcp`, `vif`, `off`.
    pub source: &'static str,
    /// Packets, bytes and errors since it came.
    pub traffic: Traffic,
}

/// What passed an interface, over all its connections to its backend. Bytes are of whole frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Packets received that no part of the stack may see: what they say is never true.
    pub refused: u64,
    /// Packets sent; one that the backend is to cut counts as one.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
}

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketStatus {
    /// TCP or UDP.
    pub transport: Transport,
    /// The interface it is on; a listener is on all.
    pub interface: Option<String>,
    /// This end; the address is missing if it is any.
    pub local: (Option<IpAddress>, u16),
    /// The other end of a connection.
    pub remote: Option<IpEndpoint>,
    /// `LISTEN`, `ESTABLISHED` and so on, as netstat(1) has them; empty for UDP.
    pub state: &'static str,
    /// Bytes received that nobody has read yet; of a listener, connections that nobody accepted.
    pub receive_queue: usize,
    /// Bytes to be sent, or sent and not acknowledged.
    pub send_queue: usize,
    /// Bytes of memory its buffers take.
    pub memory: usize,
}

/// The connections in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// How many there are.
    pub count: usize,
    /// How many there may be.
    pub limit: usize,
    /// Bytes of memory they have.
    pub memory: usize,
    /// How many were not taken for want of a place.
    pub overflows: u64,
}

pub(crate) fn connections(stack: &Stack) -> Connections {
    let common = &stack.common;
    Connections {
        count: common.pool.count(),
        limit: common.pool.limit(),
        memory: common.pool.taken(),
        overflows: common.overflows,
    }
}

pub(crate) fn sockets(stack: &Stack) -> Vec<SocketStatus> {
    let listeners = stack.common.listeners.iter();
    let listeners = listeners.map(|(port, listener)| SocketStatus {
        transport: Transport::Tcp,
        interface: None,
        local: (None, *port),
        remote: None,
        state: "LISTEN",
        receive_queue: listener.ready.len(),
        send_queue: 0,
        memory: 0,
    });
    let conns = stack.ifaces.iter().flat_map(|iface| {
        iface.conns.iter().map(|conn| SocketStatus {
            transport: Transport::Tcp,
            interface: Some(iface.name.clone()),
            local: (Some(conn.tuple.local.addr), conn.tuple.local.port),
            remote: Some(conn.tuple.remote),
            state: name(conn.socket().state()),
            receive_queue: conn.socket().recv_queue(),
            send_queue: conn.socket().send_queue(),
            memory: 2 * conn.size,
        })
    });
    let udp = stack.common.udp.iter().map(|(id, udp)| {
        let ifaces = stack.ifaces.iter();
        let queues = ifaces.filter_map(|iface| iface.udp_queues(*id));
        let (receive_queue, send_queue) = queues.fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        SocketStatus {
            transport: Transport::Udp,
            interface: None,
            local: (None, udp.port),
            remote: None,
            state: "",
            receive_queue,
            send_queue,
            memory: 0,
        }
    });
    listeners.chain(conns).chain(udp).collect()
}

/// A state as netstat(1) has it.
fn name(state: State) -> &'static str {
    match state {
        State::Closed => "CLOSED",
        State::Listen => "LISTEN",
        State::SynSent => "SYN_SENT",
        State::SynReceived => "SYN_RECV",
        State::Established => "ESTABLISHED",
        State::FinWait1 => "FIN_WAIT1",
        State::FinWait2 => "FIN_WAIT2",
        State::CloseWait => "CLOSE_WAIT",
        State::Closing => "CLOSING",
        State::LastAck => "LAST_ACK",
        State::TimeWait => "TIME_WAIT",
    }
}
