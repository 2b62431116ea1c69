//! `ifconfig`, `netstat`, `host` and `tcpdump`.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Write};

use net::{Connections, InterfaceStatus, Net, SocketStatus, Transport};

use crate::output::Output;

/// Bytes of each packet that `tcpdump` looks at: the headers of everything it tells of.
const SNAPLEN: usize = 128;

// Writing to a String cannot fail, so the results of `writeln!` say nothing here.

/// Each interface with its addresses, and what passed it.
pub(super) fn interfaces(all: &[InterfaceStatus]) -> String {
    if all.is_empty() {
        return "no network interfaces\n".into();
    }
    let mut text = String::new();
    for one in all {
        let state = if one.up { "up" } else { "down" };
        let (name, mtu, source) = (&one.name, one.mtu, one.source);
        let _ = writeln!(
            text,
            "{name}: {state}, {}, mtu {mtu}, {source}",
            Mac(one.mac)
        );
        for address in &one.addresses {
            let _ = writeln!(text, "  address {address}");
        }
        for gateway in &one.gateways {
            let _ = writeln!(text, "  gateway {gateway}");
        }
        for dns in &one.dns {
            let _ = writeln!(text, "  DNS {dns}");
        }
        let traffic = &one.traffic;
        let _ = writeln!(
            text,
            "  received: {} packets, {} bytes; {} refused",
            traffic.received, traffic.received_bytes, traffic.refused
        );
        let _ = writeln!(
            text,
            "  sent: {} packets, {} bytes",
            traffic.sent, traffic.sent_bytes
        );
    }
    text
}

/// An Ethernet address.
struct Mac([u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

/// Each socket, and the connections in all.
pub(super) async fn sockets(sockets: &[SocketStatus], all: &Connections, out: &Output) {
    out.write(" recv-q  send-q  proto  local                    remote                   state\n");
    for socket in sockets {
        out.write(&line(socket));
        out.room().await;
    }
    out.line(format_args!(
        "connections: {} of at most {}, {} KiB of memory; {} found no place",
        all.count,
        all.limit,
        all.memory.div_ceil(1024),
        all.overflows
    ));
}

fn line(socket: &SocketStatus) -> String {
    let proto = match socket.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let (address, port) = socket.local;
    let local = match address {
        Some(address) => net::IpEndpoint::new(address, port).to_string(),
        None => format!("*:{port}"),
    };
    let remote = socket
        .remote
        .map_or("*:*".into(), |remote| remote.to_string());
    let (received, sent, state) = (socket.receive_queue, socket.send_queue, socket.state);
    let text = format!("{received:>7} {sent:>7}  {proto:<5}  {local:<24} {remote:<24} {state}");
    format!("{}\n", text.trim_end())
}

/// Prints the addresses of `name`.
pub(super) async fn host(net: &Net, name: &str, out: &Output) -> Result<(), String> {
    let addresses = net.resolve(name).await;
    let addresses = addresses.map_err(|error| format!("host: {}: {error}", name.escape_debug()))?;
    for address in addresses {
        out.line(format_args!("{name} has address {address}"));
    }
    Ok(())
}

/// Prints packets as they pass.
pub(super) async fn dump(
    net: &Net,
    count: Option<u64>,
    interface: Option<String>,
    out: &Output,
) -> Result<(), String> {
    if let Some(name) = &interface
        && !net.interfaces().iter().any(|known| known.name == *name)
    {
        return Err(format!(
            "tcpdump: {}: no such interface",
            name.escape_debug()
        ));
    }
    let capture = net.capture(interface, SNAPLEN);
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(packet) = capture.next().await else {
            return Err("tcpdump: too many others have begun since".into());
        };
        out.line(format_args!("{packet}"));
        out.room().await;
        left -= 1;
    }
    if capture.dropped() > 0 {
        out.line(format_args!("{} packets were left out", capture.dropped()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use net::{IpAddress, IpCidr, IpEndpoint, Traffic};

    use super::*;

    #[test]
    fn interfaces_as_they_are_printed() {
        assert_eq!(interfaces(&[]), "no network interfaces\n");
        let one = InterfaceStatus {
            name: "xn0".into(),
            mac: [0, 0x16, 0x3e, 1, 2, 0xff],
            mtu: 1500,
            up: true,
            addresses: vec![IpCidr::new(IpAddress::v4(10, 0, 0, 5), 24)],
            gateways: vec![IpAddress::v4(10, 0, 0, 1)],
            dns: vec![IpAddress::v4(10, 0, 0, 2)],
            source: "dhcp",
            traffic: Traffic {
                received: 3,
                received_bytes: 180,
                refused: 1,
                sent: 2,
                sent_bytes: 120,
            },
        };
        let expected = concat!(
            "xn0: up, 00:16:3e:01:02:ff, mtu 1500, dhcp\n",
            "  address 10.0.0.5/24\n",
            "  gateway 10.0.0.1\n",
            "  DNS 10.0.0.2\n",
            "  received: 3 packets, 180 bytes; 1 refused\n",
            "  sent: 2 packets, 120 bytes\n",
        );
        assert_eq!(interfaces(&[one]), expected);
    }

    #[test]
    fn sockets_as_they_are_printed() {
        let socket = SocketStatus {
            transport: Transport::Tcp,
            interface: Some("xn0".into()),
            local: (Some(IpAddress::v4(10, 0, 0, 5)), 80),
            remote: Some(IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 50_000)),
            state: "ESTABLISHED",
            receive_queue: 7,
            send_queue: 9,
            memory: 0,
        };
        assert_eq!(
            line(&socket),
            "      7       9  tcp    10.0.0.5:80              \
             10.0.0.1:50000           ESTABLISHED\n"
        );
        let udp = SocketStatus {
            transport: Transport::Udp,
            local: (None, 53),
            remote: None,
            state: "",
            receive_queue: 0,
            send_queue: 0,
            ..socket
        };
        assert_eq!(
            line(&udp),
            "      0       0  udp    *:53                     *:*\n"
        );
    }
}
