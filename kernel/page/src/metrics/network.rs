//! Interfaces and connections.

use net::InterfaceStatus;

use crate::metrics::exposition::Exposition;
use crate::snapshot::Snapshot;

type OfInterface = fn(&InterfaceStatus) -> u64;

const INTERFACES: [(&str, &str, OfInterface); 5] = [
    (
        "xenolith_network_received_packets_total",
        "Packets received.",
        |i| i.traffic.received,
    ),
    (
        "xenolith_network_received_bytes_total",
        "Bytes received.",
        |i| i.traffic.received_bytes,
    ),
    (
        "xenolith_network_refused_packets_total",
        "Packets that lie.",
        |i| i.traffic.refused,
    ),
    (
        "xenolith_network_sent_packets_total",
        "Packets sent.",
        |i| i.traffic.sent,
    ),
    ("xenolith_network_sent_bytes_total", "Bytes sent.", |i| {
        i.traffic.sent_bytes
    }),
];

pub(super) fn network(out: &mut Exposition, interfaces: &[InterfaceStatus]) {
    for (name, help, value) in INTERFACES {
        out.counter(name, help);
        for interface in interfaces {
            out.sample(&[("interface", &interface.name)], value(interface));
        }
    }
    out.gauge("xenolith_network_up", "Whether an interface is up.");
    for interface in interfaces {
        out.sample(&[("interface", &interface.name)], u8::from(interface.up));
    }
}

pub(super) fn connections(out: &mut Exposition, snapshot: &Snapshot) {
    let all = &snapshot.connections;
    out.gauge("xenolith_tcp_connections", "TCP connections.");
    out.sample(&[], all.count);
    out.gauge(
        "xenolith_tcp_connections_limit",
        "TCP connections that there may be.",
    );
    out.sample(&[], all.limit);
    out.gauge("xenolith_tcp_memory_bytes", "Memory of TCP connections.");
    out.sample(&[], all.memory);
    let help = "TCP connections not taken for want of a place.";
    out.counter("xenolith_tcp_overflows_total", help);
    out.sample(&[], all.overflows);
}
