//! Devices in xenstore, and how both their ends are.

use alloc::format;
use alloc::string::String;

use xenbus::state::XenbusState;

use crate::devices::DeviceState;
use crate::html::storage::device_name;
use crate::snapshot::Snapshot;
use crate::text::{Escaped, put};

/// All of them.
pub fn write(out: &mut String, snapshot: &Snapshot) {
    let devices = &snapshot.devices;
    out.push_str("<section class=\"card\"><h2>Xenbus</h2>");
    if devices.all.is_empty() {
        out.push_str("<p class=\"none\">There is no device.</p>");
    } else {
        out.push_str(
            "<div class=\"wide\"><table><thead><tr><th>Device<th>Driver<th>Here<th>There\
             <th>With<th>Error</tr></thead><tbody>",
        );
        devices.all.iter().for_each(|device| row(out, device));
        out.push_str("</tbody></table></div>");
    }
    if devices.more {
        out.push_str("<p class=\"none\">There may be more: the store did not say in time.</p>");
    }
    out.push_str("</section>\n");
}

fn row(out: &mut String, device: &DeviceState) {
    let driver = match (device.kind.as_str(), device.is_backend) {
        ("vbd", false) => "blkfront",
        ("vbd", true) => "blkback",
        ("vif", false) => "netfront",
        (_, false) => "frontend",
        (_, true) => "backend",
    };
    let known = match device.kind.as_str() {
        "vbd" => device.number.parse().map(device_name).unwrap_or_default(),
        _ => String::new(),
    };
    let there = device
        .peer_state
        .map_or_else(|| String::from("not readable"), pill);
    put(
        out,
        format_args!(
            "<tr><td><b>{}/{}</b> <small>{known}</small><td>{driver}<td>{}<td>{there}<td>domain {}\
             <td class=\"bad\">{}</tr>",
            Escaped(&device.kind),
            Escaped(&device.number),
            pill(device.state),
            Escaped(&device.peer),
            Escaped(&device.error),
        ),
    );
}

/// A state, with a colour that says whether it is a good one.
#[must_use]
pub fn pill(state: XenbusState) -> String {
    let class = match state {
        XenbusState::Connected => "good",
        XenbusState::Unknown | XenbusState::Closing | XenbusState::Closed => "bad",
        _ => "odd",
    };
    format!("<span class=\"pill {class}\">{state}</span>")
}
