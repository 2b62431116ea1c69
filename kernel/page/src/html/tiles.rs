//! The figures at the top.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hv::PAGE_SIZE;
use xenbus::state::XenbusState;

use crate::history::{Flow, POINTS};
use crate::picture::spark;
use crate::snapshot::Snapshot;
use crate::text::{bytes, count, percent, put};

/// All of them.
pub fn write(out: &mut String, snapshot: &Snapshot) {
    out.push_str("<section class=\"tiles\">");
    storage(out, snapshot);
    network(out, snapshot);
    memory(out, snapshot);
    clients(out, snapshot);
    out.push_str("</section>\n");
}

fn tile(out: &mut String, title: &str, figure: &str, under: &str, picture: &str) {
    put(
        out,
        format_args!(
            "<article class=\"card\"><h2>{title}</h2><p class=\"figure\">{figure}</p>\
             <p>{under}</p>{picture}</article>"
        ),
    );
}

fn flow_tile(
    out: &mut String,
    title: &str,
    points: &[Flow],
    (read, written, requests): (&str, &str, &str),
) {
    let now = points.last();
    let figure = now.map_or_else(
        || String::from("\u{2013}"),
        |flow| format!("{}/s", bytes(flow.read.saturating_add(flow.written))),
    );
    let now = now.copied().unwrap_or_default();
    let under = format!(
        "<span class=\"in\">{} {read}</span> <span class=\"out\">{} {written}</span> \
         <span>{} {requests}</span>",
        bytes(now.read),
        bytes(now.written),
        count(now.requests),
    );
    let highest = points.iter().map(|flow| flow.read.max(flow.written)).max();
    let highest = highest.filter(|highest| *highest > 0);
    let scale = highest.map(|highest| format!(" <small>highest {}/s</small>", bytes(highest)));
    let curves: Vec<_> = points
        .iter()
        .map(|flow| (flow.read, flow.written))
        .collect();
    let picture = spark::curves(title, &curves, POINTS);
    let title = format!("{title}{}", scale.unwrap_or_default());
    tile(out, &title, &figure, &under, &picture);
}

fn storage(out: &mut String, snapshot: &Snapshot) {
    let points: Vec<_> = snapshot
        .rates
        .points
        .iter()
        .map(|point| point.storage)
        .collect();
    flow_tile(
        out,
        "Storage served",
        &points,
        ("read", "written", "requests"),
    );
}

fn network(out: &mut String, snapshot: &Snapshot) {
    let points: Vec<_> = snapshot
        .rates
        .points
        .iter()
        .map(|point| point.network)
        .collect();
    flow_tile(out, "Network", &points, ("in", "out", "packets"));
}

fn memory(out: &mut String, snapshot: &Snapshot) {
    let memory = &snapshot.facts.memory;
    let of_pages = |pages: usize| (pages * PAGE_SIZE) as u64;
    let (total, free) = (of_pages(memory.total), of_pages(memory.free));
    let used = total.saturating_sub(free);
    let under = format!(
        "{} of {}, heap {} of {}",
        bytes(used),
        bytes(total),
        bytes(memory.heap_used as u64),
        bytes(memory.heap_size as u64)
    );
    let part = percent(used, total);
    let picture = format!("<progress max=\"100\" value=\"{part}\">{part} %</progress>");
    tile(out, "Memory", &format!("{part} %"), &under, &picture);
}

fn clients(out: &mut String, snapshot: &Snapshot) {
    let exports = &snapshot.facts.exports;
    let connected = |state: &&blkback::ExportUse| state.state == XenbusState::Connected;
    let connected = exports.iter().filter(connected).count();
    let disks = snapshot.disks.len();
    let under = format!(
        "of {} exports connected; {disks} disks, {} providers",
        exports.len(),
        snapshot.providers.len()
    );
    tile(out, "Clients", &format!("{connected}"), &under, "");
}
