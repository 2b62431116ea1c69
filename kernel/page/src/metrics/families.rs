//! What there is to count. A series that exists once exists for as long as what it is about.

use alloc::string::{String, ToString};

use hv::PAGE_SIZE;

use crate::metrics::exposition::{Exposition, Seconds};
use crate::metrics::network::{connections, network};
use crate::metrics::storage::{exports, latencies, storage};
use crate::snapshot::Snapshot;

/// All of it.
#[must_use]
pub fn metrics(snapshot: &Snapshot) -> String {
    let mut out = Exposition::default();
    domain(&mut out, snapshot);
    events(&mut out, snapshot);
    storage(&mut out, snapshot);
    exports(&mut out, &snapshot.facts.exports);
    latencies(&mut out, &snapshot.facts.exports);
    network(&mut out, &snapshot.interfaces);
    connections(&mut out, snapshot);
    devices(&mut out, snapshot);
    out.text()
}

fn domain(out: &mut Exposition, snapshot: &Snapshot) {
    let facts = &snapshot.facts;
    out.gauge("xenolith_info", "What runs here; always 1.");
    let domain = snapshot
        .domain
        .map_or_else(String::new, |domain| domain.to_string());
    let version = env!("CARGO_PKG_VERSION");
    let labels = [
        ("version", version),
        ("name", &*snapshot.name),
        ("domain", &*domain),
    ];
    out.sample(&labels, 1);
    out.gauge(
        "xenolith_uptime_seconds",
        "Time since the domain's first instruction.",
    );
    out.sample(&[], Seconds(facts.now.since_start()));
    out.gauge("xenolith_memory_bytes", "Memory of the domain.");
    out.sample(&[], facts.memory.total * PAGE_SIZE);
    out.gauge(
        "xenolith_memory_free_bytes",
        "Memory that nobody has asked for.",
    );
    out.sample(&[], facts.memory.free * PAGE_SIZE);
    out.gauge("xenolith_heap_bytes", "Size of the heap.");
    out.sample(&[], facts.memory.heap_size);
    out.gauge("xenolith_heap_used_bytes", "Bytes of the heap in use.");
    out.sample(&[], facts.memory.heap_used);
    out.gauge(
        "xenolith_stack_used_bytes",
        "Bytes of the stack that were ever in use.",
    );
    out.sample(&[], facts.memory.stack_used);
    out.gauge("xenolith_tasks", "Tasks of the executor.");
    out.sample(&[], snapshot.tasks.len());
    out.counter("xenolith_polls_total", "Polls of tasks.");
    out.sample(&[], snapshot.polls);
    out.gauge("xenolith_grants", "Pages that peers may map.");
    out.sample(&[], facts.grants.granted);
    out.gauge(
        "xenolith_grants_parked",
        "Pages that peers have not let go of.",
    );
    out.sample(&[], facts.grants.parked);
    out.counter(
        "xenolith_grants_parked_total",
        "Pages parked since the start.",
    );
    out.sample(&[], facts.grants.parked_ever);
}

fn events(out: &mut Exposition, snapshot: &Snapshot) {
    let ports = &snapshot.facts.ports;
    out.counter("xenolith_events_total", "Events taken, by port.");
    for port in ports {
        let number = port.port.to_string();
        out.sample(&[("port", &number), ("owner", &port.label)], port.count);
    }
    out.counter(
        "xenolith_events_spurious_total",
        "Events that brought no work, by port.",
    );
    for port in ports {
        let number = port.port.to_string();
        out.sample(&[("port", &number), ("owner", &port.label)], port.spurious);
    }
}

fn devices(out: &mut Exposition, snapshot: &Snapshot) {
    let name = "xenolith_device_state";
    out.gauge(
        name,
        "Xenbus state of a device at this end, as io/xenbus.h numbers it.",
    );
    for device in &snapshot.devices.all {
        let end = if device.is_backend { "back" } else { "front" };
        let labels = [
            ("end", end),
            ("kind", &*device.kind),
            ("number", &*device.number),
            ("peer", &*device.peer),
        ];
        out.sample(&labels, device.state.number());
    }
}
