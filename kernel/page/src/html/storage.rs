//! Exports and disks.

use alloc::format;
use alloc::string::String;

use blkback::ExportUse;
use geom::disk::{DiskInfo, DiskState};

use crate::html::peers::pill;
use crate::picture::spark;
use crate::snapshot::Snapshot;
use crate::text::{Escaped, bytes, count, put, short_time};

/// The most rows of a table.
const ROWS: usize = 64;

/// What is served to others.
pub fn exports(out: &mut String, snapshot: &Snapshot) {
    let exports = &snapshot.facts.exports;
    out.push_str("<section class=\"card\"><h2>Exports</h2>");
    if exports.is_empty() {
        out.push_str("<p class=\"none\">Nothing is served to other domains.</p></section>\n");
        return;
    }
    out.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Client<th>Provider<th>State\
         <th class=\"n\">Requests/s<th class=\"n\">Read/s<th class=\"n\">Written/s\
         <th class=\"n\">Read<th class=\"n\">Written<th class=\"n\">Half below\
         <th class=\"n\">99 % below<th>Latencies<th class=\"n\">Errors</tr></thead><tbody>",
    );
    exports
        .iter()
        .take(ROWS)
        .for_each(|export| export_row(out, snapshot, export));
    out.push_str("</tbody></table></div>");
    more(out, exports.len());
    out.push_str("</section>\n");
}

fn export_row(out: &mut String, snapshot: &Snapshot, export: &ExportUse) {
    let all = &export.statistics;
    let flow = snapshot.rates.export((export.frontend, export.device));
    let dash = || String::from("\u{2013}");
    let rate = |of: fn(&crate::history::Flow) -> u64| {
        flow.as_ref()
            .map_or_else(dash, |flow| format!("{}/s", bytes(of(flow))))
    };
    let requests = flow.map_or_else(dash, |flow| count(flow.requests));
    let below = |percent| all.latency.below(percent).map_or_else(dash, short_time);
    let mode = if export.read_only {
        " <small>read-only</small>"
    } else {
        ""
    };
    let wrong = all.errors.saturating_add(all.refused);
    let class = if wrong > 0 { "n bad" } else { "n" };
    put(
        out,
        format_args!(
            "<tr><td>domain {} <small>{}</small><td><b>{}</b>{mode}<td>{}\
             <td class=\"n\">{requests}<td class=\"n\">{}<td class=\"n\">{}\
             <td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}\
             <td>{}<td class=\"{class}\">{}</tr>",
            export.frontend,
            device_name(export.device),
            Escaped(&export.provider),
            pill(export.state),
            rate(|flow| flow.read),
            rate(|flow| flow.written),
            bytes(all.read_bytes),
            bytes(all.written_bytes),
            below(50),
            below(99),
            spark::latencies(all.latency.classes()),
            count(wrong),
        ),
    );
}

/// `xvda` for 51712: the numbers that Linux and `xl` give to the first sixteen disks
/// (docs/man/xen-vbd-interface.7).
pub(crate) fn device_name(device: u32) -> String {
    let (major, minor) = (device >> 8, device & 255);
    let letter = u8::try_from(minor / 16).map_or('?', |disk| char::from(b'a' + disk));
    match (major, minor % 16) {
        (202, 0) => format!("xvd{letter}"),
        (202, part) => format!("xvd{letter}{part}"),
        _ => format!("{device}"),
    }
}

/// The disks there are.
pub fn disks(out: &mut String, snapshot: &Snapshot) {
    let disks = &snapshot.disks;
    out.push_str("<section class=\"card\"><h2>Disks</h2>");
    if disks.is_empty() {
        out.push_str("<p class=\"none\">There is none.</p></section>\n");
        return;
    }
    out.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Name<th>State<th class=\"n\">Size\
         <th class=\"n\">Sector<th class=\"n\">Under way<th>Features<th>Model<th>Serial\
         </tr></thead><tbody>",
    );
    disks.iter().take(ROWS).for_each(|disk| disk_row(out, disk));
    out.push_str("</tbody></table></div>");
    more(out, disks.len());
    out.push_str("</section>\n");
}

fn disk_row(out: &mut String, disk: &DiskInfo) {
    let class = match disk.state {
        DiskState::Live => "good",
        DiskState::Queued => "odd",
        _ => "bad",
    };
    let mode = if disk.read_only { "read-only" } else { "" };
    let limits = &disk.limits;
    put(
        out,
        format_args!(
            "<tr><td><b>{}</b><td><span class=\"pill {class}\">{}</span><td class=\"n\">{}\
             <td class=\"n\">{}<td class=\"n\">{}<td>{mode} <small>up to {} a request</small>\
             <td>{}<td>{}</tr>",
            Escaped(&disk.name),
            disk.state,
            bytes(disk.media_size),
            disk.sector_size,
            disk.in_flight,
            bytes(limits.max_io),
            Escaped(&disk.description),
            Escaped(&disk.ident),
        ),
    );
}

/// A line below a table that was cut.
pub(crate) fn more(out: &mut String, rows: usize) {
    if rows > ROWS {
        put(
            out,
            format_args!("<p class=\"none\">and {} more</p>", rows - ROWS),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::device_name;

    #[test]
    fn devices_as_people_know_them() {
        assert_eq!(device_name(51712), "xvda");
        assert_eq!(device_name(51712 + 17), "xvdb1");
        assert_eq!(device_name(768), "768");
        assert_eq!(device_name(u32::MAX), "4294967295");
    }
}
