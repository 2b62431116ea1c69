//! `exports`: who is served, and how.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use core::time::Duration;

use blkback::statistics::{Latency, Statistics};
use blkback::{Blkback, ExportUse};
use exec::Executor;
use hv::Hypervisor;

use crate::output::Output;

/// How long the rates are measured.
const SAMPLE: Duration = Duration::from_secs(1);

/// Watches the exports for a second, then prints each: what it did in that second, and in all.
pub(super) async fn run<H: Hypervisor>(blkback: &Blkback<H>, exec: &Executor, out: &Output) {
    let before = blkback.exports();
    if before.is_empty() {
        return out.write("no exports\n");
    }
    exec.sleep(SAMPLE).await;
    for export in blkback.exports() {
        let earlier = before
            .iter()
            .find(|old| (old.frontend, old.device) == (export.frontend, export.device))
            .map_or(Statistics::default(), |old| old.statistics);
        out.write(&lines(&export, &earlier));
        out.room().await;
    }
}

/// An export, with what it did since `earlier`, a second ago.
fn lines(export: &ExportUse, earlier: &Statistics) -> String {
    let ExportUse {
        frontend,
        device,
        provider,
        read_only,
        state,
        statistics: all,
    } = export;
    let requests = |of: &Statistics| of.reads + of.writes + of.flushes + of.discards;
    let bytes = |of: &Statistics| of.read_bytes + of.written_bytes;
    // An export that was made anew meanwhile has done less than before.
    let rate = requests(all).saturating_sub(requests(earlier));
    let moved = bytes(all).saturating_sub(bytes(earlier));
    let mark = if *read_only { ", read-only" } else { "" };
    let mut text = format!("{frontend}/{device}  {provider}  {state}{mark}\n");
    let mut line = |arguments: core::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "  {arguments}");
    };
    line(format_args!(
        "now: {rate} requests/s, {} KiB/s",
        moved >> 10
    ));
    line(format_args!(
        "in all: {} reads, {} MiB; {} writes, {} MiB; {} flushes; {} discards",
        all.reads,
        all.read_bytes >> 20,
        all.writes,
        all.written_bytes >> 20,
        all.flushes,
        all.discards,
    ));
    line(format_args!(
        "{} errors, {} refused; {} events, {} notifications; polls: {} found, {} not",
        all.errors, all.refused, all.events, all.notifications, all.poll_hits, all.poll_misses
    ));
    line(format_args!("latency: {}", histogram(&all.latency)));
    text
}

/// The classes that are not empty: `<4us 17, <8us 3; half below 4 us, 99 % below 8 us`.
fn histogram(latency: &Latency) -> String {
    let (Some(half), Some(most)) = (latency.below(50), latency.below(99)) else {
        return String::from("nothing answered yet");
    };
    let mut text = String::new();
    for (class, count) in latency.classes().iter().enumerate() {
        if *count != 0 {
            let comma = if text.is_empty() { "" } else { ", " };
            let _infallible = write!(text, "{comma}<{}us {count}", 1u64 << class);
        }
    }
    format!(
        "{text}; half below {} us, 99 % below {} us",
        half.as_micros(),
        most.as_micros()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use hv::DomId;
    use xenbus::state::XenbusState;

    #[test]
    fn an_export_shows_what_it_does_and_has_done() {
        let all = Statistics {
            reads: 300,
            read_bytes: 3 << 20,
            writes: 5,
            written_bytes: 1 << 20,
            errors: 2,
            ..Statistics::default()
        };
        let earlier = Statistics {
            reads: 100,
            read_bytes: 1 << 20,
            ..Statistics::default()
        };
        let export = ExportUse {
            frontend: DomId(3),
            device: 51712,
            provider: String::from("md0"),
            read_only: true,
            state: XenbusState::Connected,
            statistics: all,
        };
        let expected = "3/51712  md0  Connected, read-only\n  \
            now: 205 requests/s, 3072 KiB/s\n  \
            in all: 300 reads, 3 MiB; 5 writes, 1 MiB; 0 flushes; 0 discards\n  \
            2 errors, 0 refused; 0 events, 0 notifications; polls: 0 found, 0 not\n  \
            latency: nothing answered yet\n";
        assert_eq!(lines(&export, &earlier), expected);
    }
}
