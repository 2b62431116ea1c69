//! Disks and exports.

use alloc::format;
use alloc::string::ToString;

use blkback::ExportUse;
use blkback::statistics::Statistics;
use xenbus::state::XenbusState;

use crate::metrics::exposition::{Exposition, Seconds};
use crate::snapshot::Snapshot;

pub(super) fn storage(out: &mut Exposition, snapshot: &Snapshot) {
    let counters = &snapshot.counters;
    out.counter("xenolith_disks_created_total", "Disks created.");
    out.sample(&[], counters.disks_created);
    out.counter(
        "xenolith_disks_gone_total",
        "Disks whose driver was told that they are gone.",
    );
    out.sample(&[], counters.disks_gone);
    // Names are not unique while one disk leaves and the next one comes.
    let disks = || {
        let all = snapshot.disks.iter().enumerate();
        all.filter(|(at, disk)| {
            let later = snapshot.disks.iter().skip(at + 1);
            later.clone().all(|other| other.name != disk.name)
        })
    };
    out.gauge("xenolith_disk_bytes", "Size of a disk.");
    for (_, disk) in disks() {
        let state = disk.state.to_string();
        out.sample(&[("disk", &disk.name), ("state", &state)], disk.media_size);
    }
    out.gauge("xenolith_disk_requests", "Requests under way at a disk.");
    for (_, disk) in disks() {
        out.sample(&[("disk", &disk.name)], disk.in_flight);
    }
    let lost = snapshot
        .providers
        .iter()
        .filter(|provider| provider.error.is_some());
    out.gauge("xenolith_providers", "Providers of GEOM.");
    out.sample(&[], snapshot.providers.len());
    out.gauge(
        "xenolith_providers_lost",
        "Providers that are lost and still held.",
    );
    out.sample(&[], lost.count());
}

type OfExport = fn(&Statistics) -> u64;

const EXPORTS: [(&str, &str, OfExport); 10] = [
    ("xenolith_export_reads_total", "Reads answered.", |s| {
        s.reads
    }),
    ("xenolith_export_read_bytes_total", "Bytes read.", |s| {
        s.read_bytes
    }),
    ("xenolith_export_writes_total", "Writes answered.", |s| {
        s.writes
    }),
    (
        "xenolith_export_written_bytes_total",
        "Bytes written.",
        |s| s.written_bytes,
    ),
    ("xenolith_export_flushes_total", "Flushes answered.", |s| {
        s.flushes
    }),
    (
        "xenolith_export_discards_total",
        "Discards answered.",
        |s| s.discards,
    ),
    (
        "xenolith_export_errors_total",
        "Requests that failed below.",
        |s| s.errors,
    ),
    (
        "xenolith_export_refused_total",
        "Requests that made no sense.",
        |s| s.refused,
    ),
    (
        "xenolith_export_events_total",
        "Events of the frontend.",
        |s| s.events,
    ),
    (
        "xenolith_export_notifications_total",
        "Events sent to the frontend.",
        |s| s.notifications,
    ),
];

/// Calls `each` with an export's labels.
fn labelled(export: &ExportUse, each: impl FnOnce(&[(&'static str, &str)])) {
    let (frontend, device) = (export.frontend.to_string(), export.device.to_string());
    let provider = &*export.provider;
    each(&[
        ("frontend", &frontend),
        ("device", &device),
        ("provider", provider),
    ]);
}

pub(super) fn exports(out: &mut Exposition, exports: &[ExportUse]) {
    for (name, help, value) in EXPORTS {
        out.counter(name, help);
        for export in exports {
            labelled(export, |labels| {
                out.sample(labels, value(&export.statistics))
            });
        }
    }
    out.gauge(
        "xenolith_export_connected",
        "Whether its frontend is connected.",
    );
    for export in exports {
        let connected = export.state == XenbusState::Connected;
        labelled(export, |labels| out.sample(labels, u8::from(connected)));
    }
}

pub(super) fn latencies(out: &mut Exposition, exports: &[ExportUse]) {
    let help = "Time from finding a request to answering it.";
    out.histogram("xenolith_export_latency_seconds", help);
    for export in exports {
        let latency = &export.statistics.latency;
        labelled(export, |labels| {
            let mut below = 0u64;
            let (last, classes) = match latency.classes().split_last() {
                Some(parts) => parts,
                None => return,
            };
            for (class, count) in classes.iter().enumerate() {
                below = below.saturating_add(*count);
                let micros = 1u64 << class;
                let bound = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
                out.part("_bucket", labels, Some(&bound), &below);
            }
            below = below.saturating_add(*last);
            out.part("_bucket", labels, Some("+Inf"), &below);
            out.part("_sum", labels, None, &Seconds(latency.sum()));
            out.part("_count", labels, None, &below);
        });
    }
}
