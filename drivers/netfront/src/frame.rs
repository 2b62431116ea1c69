//! Ethernet frames: where the TCP or UDP in them lies.

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;
/// Bytes of an IPv4 header without options.
const IPV4: usize = 20;
/// Bytes of an IPv6 header.
const IPV6: usize = 40;
/// Extension headers that are looked at.
const MOST_HEADERS: usize = 8;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

// IPv6 extension headers.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// A TCP segment or a UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) protocol: u8,
    /// Over IPv6.
    pub(crate) v6: bool,
    /// Where it lies in the frame.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Where source and destination address lie, one behind the other.
    pub(crate) addresses: (usize, usize),
}

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A whole segment or datagram.
    Whole(Segment),
    /// A part of something of this protocol.
    Part(u8),
    /// Something else, or nothing that could be made out.
    Other,
}

fn byte(frame: &[u8], at: usize) -> Option<u8> {
    frame.get(at).copied()
}

fn word(frame: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(byte(frame, at)?) << 8 | usize::from(byte(frame, at + 1)?))
}

/// Looks at the headers of `frame`.
pub(crate) fn content(frame: &[u8]) -> Content {
    let found = match word(frame, 12) {
        Some(0x0800) => ipv4(frame),
        Some(0x86dd) => ipv6(frame),
        _ => None,
    };
    found.unwrap_or(Content::Other)
}

/// Where the payload of `length` bytes ends that begins at `start`; 0 stands for the frame's own
/// end, as in packets longer than the field can say.
fn end(frame: &[u8], start: usize, length: usize) -> Option<usize> {
    let end = match length {
        0 => frame.len(),
        length => start + length,
    };
    (end <= frame.len()).then_some(end)
}

fn ipv4(frame: &[u8]) -> Option<Content> {
    let first = byte(frame, ETHERNET)?;
    let header = usize::from(first & 0xf) * 4;
    if first >> 4 != 4 || header < IPV4 {
        return None;
    }
    let end = end(frame, ETHERNET, word(frame, ETHERNET + 2)?)?;
    let protocol = byte(frame, ETHERNET + 9)?;
    // More fragments, or not the first.
    if word(frame, ETHERNET + 6)? & 0x3fff != 0 {
        return Some(Content::Part(protocol));
    }
    let addresses = (ETHERNET + 12, ETHERNET + IPV4);
    whole(protocol, false, ETHERNET + header, end, addresses)
}

fn ipv6(frame: &[u8]) -> Option<Content> {
    if byte(frame, ETHERNET)? >> 4 != 6 {
        return None;
    }
    let mut at = ETHERNET + IPV6;
    let end = end(frame, at, word(frame, ETHERNET + 4)?)?;
    let mut next = byte(frame, ETHERNET + 6)?;
    for _ in 0..MOST_HEADERS {
        let length = match next {
            HOP_BY_HOP | DESTINATION => usize::from(byte(frame, at + 1)?) * 8 + 8,
            // While it is on its way, the checksum is for another destination.
            ROUTING if byte(frame, at + 3)? == 0 => usize::from(byte(frame, at + 1)?) * 8 + 8,
            // More fragments, or not the first.
            FRAGMENT if word(frame, at + 2)? & 0xfff9 != 0 => {
                return Some(Content::Part(byte(frame, at)?));
            }
            FRAGMENT => 8,
            _ => break,
        };
        next = byte(frame, at)?;
        at += length;
    }
    whole(next, true, at, end, (ETHERNET + 8, ETHERNET + IPV6))
}

fn whole(
    protocol: u8,
    v6: bool,
    start: usize,
    end: usize,
    addresses: (usize, usize),
) -> Option<Content> {
    let least = match protocol {
        TCP => 20,
        UDP => 8,
        _ => return None,
    };
    (start + least <= end).then_some(Content::Whole(Segment {
        protocol,
        v6,
        start,
        end,
        addresses,
    }))
}

#[cfg(test)]
pub(crate) mod tests;
