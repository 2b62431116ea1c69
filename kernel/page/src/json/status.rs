//! `/status.json`: the domain for programs.

use alloc::format;
use alloc::string::String;

use blkback::ExportUse;
use net::InterfaceStatus;

use crate::health::{Severity, findings};
use crate::json::writer::Json;
use crate::snapshot::Snapshot;

/// The domain as an object.
#[must_use]
pub fn status(snapshot: &Snapshot) -> String {
    let mut json = Json::default();
    json.open('{');
    domain(&mut json, snapshot);
    json.list("findings", findings(snapshot), |json, finding| {
        let bad = finding.severity == Severity::Bad;
        json.text("severity", if bad { "bad" } else { "odd" });
        json.text("text", &finding.text);
    });
    storage(&mut json, snapshot);
    json.list("interfaces", &snapshot.interfaces, |json, one| {
        interface(json, snapshot, one)
    });
    json.key("connections");
    json.open('{');
    json.plain("count", snapshot.connections.count);
    json.plain("limit", snapshot.connections.limit);
    json.plain("memory_bytes", snapshot.connections.memory);
    json.plain("overflows", snapshot.connections.overflows);
    json.close('}');
    json.list("devices", &snapshot.devices.all, |json, device| {
        json.plain("backend", device.is_backend);
        json.text("kind", &device.kind);
        json.text("number", &device.number);
        json.text("peer", &device.peer);
        json.text("state", &format!("{}", device.state));
        if let Some(state) = device.peer_state {
            json.text("peer_state", &format!("{state}"));
        }
        if !device.error.is_empty() {
            json.text("error", &device.error);
        }
    });
    json.list("events", &snapshot.facts.ports, |json, port| {
        json.plain("port", port.port);
        json.text("owner", &port.label);
        json.plain("events", port.count);
        json.plain("spurious", port.spurious);
    });
    json.texts("tasks", snapshot.tasks.iter().map(|task| task.name));
    json.list("log", &snapshot.log, |json, line| {
        json.plain("number", line.number);
        json.plain("at_us", line.at.0 / 1000);
        json.text("level", level(line.level));
        json.text("part", &line.part);
        json.text("text", &line.text);
    });
    json.close('}');
    json.into_line()
}

fn level(level: exec::Level) -> &'static str {
    match level {
        exec::Level::Error => "error",
        exec::Level::Warn => "warn",
        exec::Level::Info => "info",
        exec::Level::Debug => "debug",
    }
}

fn domain(json: &mut Json, snapshot: &Snapshot) {
    let facts = &snapshot.facts;
    json.text("name", &snapshot.name);
    if let Some(domain) = snapshot.domain {
        json.plain("domain", domain);
    }
    json.text("version", env!("CARGO_PKG_VERSION"));
    json.plain("uptime_us", facts.now.0 / 1000);
    json.plain("time", facts.wall.as_secs());
    json.key("memory");
    json.open('{');
    json.plain("pages", facts.memory.total);
    json.plain("pages_free", facts.memory.free);
    json.plain("heap_bytes", facts.memory.heap_size);
    json.plain("heap_bytes_used", facts.memory.heap_used);
    json.plain("stack_bytes", facts.memory.stack_size);
    json.plain("stack_bytes_used", facts.memory.stack_used);
    json.close('}');
    json.key("grants");
    json.open('{');
    json.plain("granted", facts.grants.granted);
    json.plain("parked", facts.grants.parked);
    json.plain("parked_ever", facts.grants.parked_ever);
    json.plain("entries", facts.grants.entries);
    json.plain("entries_free", facts.grants.free);
    json.close('}');
}

fn storage(json: &mut Json, snapshot: &Snapshot) {
    json.list("disks", &snapshot.disks, |json, disk| {
        json.text("name", &disk.name);
        json.text("state", &format!("{}", disk.state));
        json.plain("bytes", disk.media_size);
        json.plain("sector_bytes", disk.sector_size);
        json.plain("read_only", disk.read_only);
        json.plain("in_flight", disk.in_flight);
        json.text("ident", &disk.ident);
        json.text("description", &disk.description);
    });
    json.list("providers", &snapshot.providers, |json, provider| {
        json.text("name", &provider.name);
        json.text("class", provider.class);
        json.plain("bytes", provider.media_size);
        json.plain("offset", provider.offset);
        json.text("mode", &format!("{}", provider.counts));
        json.text("type", &provider.kind);
        json.text("label", &provider.label);
        if let Some(errno) = provider.error {
            json.text("error", errno.name());
        }
    });
    json.list("exports", &snapshot.facts.exports, |json, one| {
        export(json, snapshot, one)
    });
}

fn export(json: &mut Json, snapshot: &Snapshot, export: &ExportUse) {
    let all = &export.statistics;
    json.plain("frontend", export.frontend);
    json.plain("device", export.device);
    json.text("provider", &export.provider);
    json.plain("read_only", export.read_only);
    json.text("state", &format!("{}", export.state));
    for (key, value) in [
        ("reads", all.reads),
        ("read_bytes", all.read_bytes),
        ("writes", all.writes),
        ("written_bytes", all.written_bytes),
        ("flushes", all.flushes),
        ("discards", all.discards),
        ("errors", all.errors),
        ("refused", all.refused),
        ("events", all.events),
        ("notifications", all.notifications),
    ] {
        json.plain(key, value);
    }
    for (key, percent) in [("half_below_us", 50), ("most_below_us", 99)] {
        if let Some(time) = all.latency.below(percent) {
            json.plain(key, time.as_micros());
        }
    }
    if let Some(flow) = snapshot.rates.export((export.frontend, export.device)) {
        json.plain("requests_per_second", flow.requests);
        json.plain("read_bytes_per_second", flow.read);
        json.plain("written_bytes_per_second", flow.written);
    }
}

fn interface(json: &mut Json, snapshot: &Snapshot, interface: &InterfaceStatus) {
    json.text("name", &interface.name);
    json.plain("up", interface.up);
    json.plain("mtu", interface.mtu);
    let [a, b, c, d, e, f] = interface.mac;
    json.text(
        "mac",
        &format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"),
    );
    json.text("source", interface.source);
    json.texts("addresses", &interface.addresses);
    json.texts("gateways", &interface.gateways);
    json.texts("dns", &interface.dns);
    let traffic = &interface.traffic;
    json.plain("received", traffic.received);
    json.plain("received_bytes", traffic.received_bytes);
    json.plain("refused", traffic.refused);
    json.plain("sent", traffic.sent);
    json.plain("sent_bytes", traffic.sent_bytes);
    if let Some(flow) = snapshot.rates.interface(&interface.name) {
        json.plain("received_bytes_per_second", flow.read);
        json.plain("sent_bytes_per_second", flow.written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn a_program_finds_what_the_page_shows() {
        let mut snapshot = example::snapshot();
        snapshot.name = "a \"quoted\"\\\n\u{1}name".into();
        let text = status(&snapshot);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["name"], snapshot.name);
        assert_eq!(value["domain"], 7);
        assert_eq!(value["exports"][0]["provider"], "xbd0p2");
        assert_eq!(
            value["exports"][0]["reads"],
            snapshot.facts.exports[0].statistics.reads
        );
        assert_eq!(value["interfaces"][0]["addresses"][0], "192.168.1.20/24");
        assert_eq!(
            value["devices"].as_array().unwrap().len(),
            snapshot.devices.all.len()
        );
        assert_eq!(value["log"].as_array().unwrap().len(), snapshot.log.len());
        let providers = value["providers"].as_array().unwrap();
        assert!(providers.iter().any(|one| one["label"] == "web & data"));
        assert_eq!(value["findings"].as_array().unwrap().len(), 0);
    }

    #[test]
    fn an_empty_domain_is_json_too() {
        let value: serde_json::Value =
            serde_json::from_str(&status(&example::empty())).expect("JSON");
        assert_eq!(value["exports"].as_array().unwrap().len(), 0);
    }
}
