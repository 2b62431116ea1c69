//! A frame in one line, as tcpdump(8) has it. What is cut off is left out.

use core::fmt::{self, Formatter};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;

/// Reads what is there of a packet.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn word(self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte(at)?, self.byte(at + 1)?]))
    }

    fn long(self, at: usize) -> Option<u32> {
        Some(u32::from(self.word(at)?) << 16 | u32::from(self.word(at + 2)?))
    }

    fn from(self, at: usize) -> Self {
        Self(self.0.get(at..).unwrap_or_default())
    }

    fn v4(self, at: usize) -> Option<IpAddr> {
        Some(Ipv4Addr::from_bits(self.long(at)?).into())
    }

    fn v6(self, at: usize) -> Option<IpAddr> {
        let octets: [u8; 16] = self.0.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets).into())
    }
}

/// Writes the frame that begins with `bytes` and is `length` long.
pub(crate) fn frame(f: &mut Formatter<'_>, bytes: &[u8], length: usize) -> fmt::Result {
    let bytes = Bytes(bytes);
    let payload = bytes.from(ETHERNET);
    let decoded = match bytes.word(12) {
        Some(0x0800) => ipv4(f, payload)?,
        Some(0x0806) => arp(f, payload)?,
        Some(0x86dd) => ipv6(f, payload)?,
        Some(kind) => {
            write!(f, "ethertype {kind:#06x}")?;
            Some(())
        }
        None => None,
    };
    if decoded.is_none() {
        f.write_str("[cut off]")?;
    }
    write!(f, ", frame {length}")
}

/// What writing came to: `None` if the packet is too short to tell.
type Decoded = Result<Option<()>, fmt::Error>;

fn arp(f: &mut Formatter<'_>, packet: Bytes<'_>) -> Decoded {
    let (Some(operation), Some(sender), Some(target)) =
        (packet.word(6), packet.v4(14), packet.v4(24))
    else {
        return Ok(None);
    };
    match operation {
        1 => write!(f, "ARP who-has {target} tell {sender}")?,
        2 => {
            write!(f, "ARP {sender} is-at ")?;
            for at in 8..14 {
                let separator = if at == 8 { "" } else { ":" };
                write!(f, "{separator}{:02x}", packet.byte(at).unwrap_or(0))?;
            }
        }
        other => write!(f, "ARP operation {other}")?,
    }
    Ok(Some(()))
}

fn ipv4(f: &mut Formatter<'_>, packet: Bytes<'_>) -> Decoded {
    let (Some(first), Some(total), Some(flags), Some(protocol), Some(from), Some(to)) = (
        packet.byte(0),
        packet.word(2),
        packet.word(6),
        packet.byte(9),
        packet.v4(12),
        packet.v4(16),
    ) else {
        return Ok(None);
    };
    let header = usize::from(first & 0xf) * 4;
    let offset = (flags & 0x1fff) * 8;
    let length = usize::from(total).saturating_sub(header);
    f.write_str("IP ")?;
    if offset != 0 || header < IPV4 {
        write!(f, "{from} > {to}: fragment at {offset}, length {length}")?;
        return Ok(Some(()));
    }
    let rest = packet.from(header);
    transport(f, (from, to), protocol, rest, length)
}

fn ipv6(f: &mut Formatter<'_>, packet: Bytes<'_>) -> Decoded {
    let (Some(length), Some(next), Some(from), Some(to)) =
        (packet.word(4), packet.byte(6), packet.v6(8), packet.v6(24))
    else {
        return Ok(None);
    };
    f.write_str("IP6 ")?;
    let rest = packet.from(IPV6);
    transport(f, (from, to), next, rest, length.into())
}

fn transport(
    f: &mut Formatter<'_>,
    (from, to): (IpAddr, IpAddr),
    protocol: u8,
    packet: Bytes<'_>,
    length: usize,
) -> Decoded {
    let ports = packet.word(0).zip(packet.word(2));
    match (protocol, ports) {
        (6, Some((source, destination))) => {
            write!(f, "{from}.{source} > {to}.{destination}: ")?;
            return tcp(f, packet, length);
        }
        (17, Some((source, destination))) => {
            let data = length.saturating_sub(8);
            write!(
                f,
                "{from}.{source} > {to}.{destination}: UDP, length {data}"
            )?;
        }
        (1 | 58, Some(_)) => {
            write!(f, "{from} > {to}: ")?;
            icmp(f, protocol == 58, packet)?;
            write!(f, ", length {length}")?;
        }
        (other, _) => write!(f, "{from} > {to}: protocol {other}, length {length}")?,
    }
    Ok(Some(()))
}

fn tcp(f: &mut Formatter<'_>, segment: Bytes<'_>, length: usize) -> Decoded {
    let (Some(sequence), Some(acknowledged), Some(bits), Some(window)) = (
        segment.long(4),
        segment.long(8),
        segment.word(12),
        segment.word(14),
    ) else {
        return Ok(None);
    };
    let header = usize::from(bits >> 12) * 4;
    let data = length.saturating_sub(header);
    f.write_str("Flags [")?;
    for (bit, letter) in [
        (2, 'S'),
        (1, 'F'),
        (4, 'R'),
        (8, 'P'),
        (0x20, 'U'),
        (0x10, '.'),
    ] {
        if bits & bit != 0 {
            write!(f, "{letter}")?;
        }
    }
    write!(f, "], seq {sequence}")?;
    if bits & 0x10 != 0 {
        write!(f, ", ack {acknowledged}")?;
    }
    write!(f, ", win {window}, length {data}")?;
    Ok(Some(()))
}

fn icmp(f: &mut Formatter<'_>, six: bool, packet: Bytes<'_>) -> fmt::Result {
    let name = if six { "ICMP6" } else { "ICMP" };
    let (kind, code) = (packet.byte(0).unwrap_or(0), packet.byte(1).unwrap_or(0));
    let what = match (six, kind) {
        (false, 8) | (true, 128) => "echo request",
        (false, 0) | (true, 129) => "echo reply",
        (false, 3) | (true, 1) => "unreachable",
        (false, 11) | (true, 3) => "time exceeded",
        (true, 133) => "router solicitation",
        (true, 134) => "router advertisement",
        (true, 135) => "neighbor solicitation",
        (true, 136) => "neighbor advertisement",
        (true, 143) => "multicast listener report",
        _ => return write!(f, "{name} type {kind} code {code}"),
    };
    write!(f, "{name} {what}")?;
    if what.starts_with("echo")
        && let (Some(ident), Some(sequence)) = (packet.word(4), packet.word(6))
    {
        write!(f, ", id {ident}, seq {sequence}")?;
    }
    if what == "unreachable" {
        write!(f, ", code {code}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Line<'a>(&'a [u8]);

    impl fmt::Display for Line<'_> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            frame(f, self.0, self.0.len())
        }
    }

    /// Ethernet, IPv4 10.0.0.1 to 10.0.0.5, TCP SYN.
    const SYN: [u8; 54] = [
        2, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0, 1, 8, 0, // Ethernet
        0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 5, // IPv4
        0xc0, 0, 0, 80, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, 2, 0xfa, 0xf0, 0, 0, 0, 0,
    ];

    #[test]
    fn a_syn_reads_as_tcpdump_has_it() {
        let line = Line(&SYN).to_string();
        let expected = "IP 10.0.0.1.49152 > 10.0.0.5.80: \
                        Flags [S], seq 7, win 64240, length 0, frame 54";
        assert_eq!(line, expected);
    }

    #[test]
    fn every_cut_and_every_byte_is_a_line() {
        for cut in 0..SYN.len() {
            assert!(!Line(&SYN[..cut]).to_string().contains('\n'));
        }
        for at in 0..SYN.len() {
            for value in 0..=255 {
                let mut frame = SYN;
                frame[at] = value;
                let line = Line(&frame).to_string();
                assert!(
                    line.chars().all(|c| c.is_ascii_graphic() || c == ' '),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn arp_and_icmp_are_told() {
        let mut arp = [0; 42];
        arp[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        arp[28..32].copy_from_slice(&[10, 0, 0, 1]);
        arp[38..].copy_from_slice(&[10, 0, 0, 5]);
        let line = Line(&arp).to_string();
        assert_eq!(line, "ARP who-has 10.0.0.5 tell 10.0.0.1, frame 42");
        let mut echo = SYN[..42].to_vec();
        echo[17] = 28;
        echo[23] = 1;
        echo[34..].copy_from_slice(&[8, 0, 0, 0, 0, 9, 0, 2]);
        let line = Line(&echo).to_string();
        let expected = "IP 10.0.0.1 > 10.0.0.5: ICMP echo request, id 9, seq 2, length 8, frame 42";
        assert_eq!(line, expected);
    }
}
