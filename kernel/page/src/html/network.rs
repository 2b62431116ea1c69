//! Network interfaces and sockets.

use alloc::string::String;
use core::fmt::Display;

use net::{InterfaceStatus, IpEndpoint, SocketStatus, Transport};

use crate::snapshot::Snapshot;
use crate::text::{Escaped, bytes, count, put};

/// The most rows of a table.
const ROWS: usize = 128;

/// All of them.
pub fn write(out: &mut String, snapshot: &Snapshot) {
    out.push_str("<section class=\"card\"><h2>Network</h2>");
    if snapshot.interfaces.is_empty() {
        out.push_str("<p class=\"none\">There is no interface.</p></section>\n");
        return;
    }
    out.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Name<th>State<th>Addresses<th>Gateway<th>DNS\
         <th>Ethernet<th class=\"n\">MTU<th class=\"n\">In/s<th class=\"n\">Out/s\
         <th class=\"n\">Received<th class=\"n\">Sent<th class=\"n\">Refused</tr></thead><tbody>",
    );
    snapshot
        .interfaces
        .iter()
        .for_each(|interface| row(out, snapshot, interface));
    out.push_str("</tbody></table></div></section>\n");
}

fn row(out: &mut String, snapshot: &Snapshot, interface: &InterfaceStatus) {
    let (class, state) = if interface.up {
        ("good", "up")
    } else {
        ("bad", "down")
    };
    let name = Escaped(&interface.name);
    put(
        out,
        format_args!("<tr><td><b>{name}</b><td><span class=\"pill {class}\">{state}</span><td>"),
    );
    list(out, &interface.addresses);
    put(
        out,
        format_args!(" <small>{}</small><td>", interface.source),
    );
    list(out, &interface.gateways);
    out.push_str("<td>");
    list(out, &interface.dns);
    out.push_str("<td><code>");
    for (at, byte) in interface.mac.iter().enumerate() {
        let colon = if at > 0 { ":" } else { "" };
        put(out, format_args!("{colon}{byte:02x}"));
    }
    let flow = snapshot
        .rates
        .interface(&interface.name)
        .unwrap_or_default();
    let traffic = &interface.traffic;
    put(
        out,
        format_args!(
            "</code><td class=\"n\">{}<td class=\"n\">{}/s<td class=\"n\">{}/s\
             <td class=\"n\">{} <small>{}</small><td class=\"n\">{} <small>{}</small>\
             <td class=\"n\">{}</tr>",
            interface.mtu,
            bytes(flow.read),
            bytes(flow.written),
            bytes(traffic.received_bytes),
            count(traffic.received),
            bytes(traffic.sent_bytes),
            count(traffic.sent),
            count(traffic.refused),
        ),
    );
}

/// The sockets, folded.
pub fn sockets(out: &mut String, snapshot: &Snapshot) {
    let all = &snapshot.connections;
    put(
        out,
        format_args!(
            "<details class=\"card\"><summary>Sockets <small>{} connections of at most {}, {} of \
             memory</small></summary><div class=\"wide\"><table><thead><tr><th>Protocol<th>State\
             <th>Here<th>There<th class=\"n\">To be read<th class=\"n\">To be sent\
             </tr></thead><tbody>",
            all.count,
            all.limit,
            bytes(all.memory as u64),
        ),
    );
    snapshot
        .sockets
        .iter()
        .take(ROWS)
        .for_each(|socket| socket_row(out, socket));
    put(
        out,
        format_args!(
            "</tbody></table></div><p>For want of a place were not taken: {}</p></details>\n",
            count(all.overflows)
        ),
    );
}

fn socket_row(out: &mut String, socket: &SocketStatus) {
    let protocol = match socket.transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    };
    put(
        out,
        format_args!("<tr><td>{protocol}<td>{}<td><code>", socket.state),
    );
    match socket.local {
        (Some(address), port) => put(out, format_args!("{}", IpEndpoint::new(address, port))),
        (None, port) => put(out, format_args!("*:{port}")),
    }
    out.push_str("</code><td><code>");
    if let Some(remote) = socket.remote {
        put(out, format_args!("{remote}"));
    }
    let (read, sent) = (socket.receive_queue, socket.send_queue);
    put(
        out,
        format_args!("</code><td class=\"n\">{read}<td class=\"n\">{sent}</tr>"),
    );
}

fn list(out: &mut String, all: &[impl Display]) {
    for one in all {
        put(out, format_args!("<code>{one}</code> "));
    }
}
