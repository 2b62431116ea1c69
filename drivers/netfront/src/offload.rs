//! The part of the stack's work that is done here or by the backend: checksums, and cutting.
//!
//! smoltcp neither makes nor checks TCP's checksums. Those of packets to be sent are left to the
//! backend where it takes that, and made here where it does not; those of received packets are
//! checked here if nobody has done so. All other checksums are smoltcp's, also UDP's, since a
//! datagram may come in fragments, and only who puts them together can check it.

use crate::checksum::{add, fold};
use crate::feature::Features;
use crate::frame::{Content, Segment, TCP, UDP, content};

/// What the backend is asked to do with a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// Make its checksum.
    pub(crate) blank: bool,
    /// Cut it into segments with so many bytes of payload.
    pub(crate) segments: Option<Segments>,
}

/// How to cut a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segments {
    pub(crate) size: u16,
    pub(crate) v6: bool,
}

/// Where the checksum lies in a segment.
fn field(segment: &Segment) -> usize {
    segment.start + if segment.protocol == TCP { 16 } else { 6 }
}

/// The sum of the pseudo-header.
fn pseudo_header(frame: &[u8], segment: &Segment) -> u64 {
    let (from, to) = segment.addresses;
    // The frame is shorter than 2^32 bytes.
    let length = (segment.end - segment.start) as u32;
    let sum = add(0, frame.get(from..to).unwrap_or_default());
    let sum = add(sum, &length.to_be_bytes());
    add(sum, &[0, segment.protocol])
}

fn sum(frame: &[u8], segment: &Segment) -> u16 {
    let bytes = frame.get(segment.start..segment.end).unwrap_or_default();
    fold(add(pseudo_header(frame, segment), bytes))
}

fn set_field(frame: &mut [u8], segment: &Segment, value: u16) {
    let at = field(segment);
    if let Some(field) = frame.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_le_bytes());
    }
}

fn finish(frame: &mut [u8], segment: &Segment) {
    set_field(frame, segment, 0);
    let sum = !sum(frame, segment);
    // UDP's 0 means that there is none; the other zero is the same sum.
    let none = sum == 0 && segment.protocol == UDP;
    set_field(frame, segment, if none { 0xffff } else { sum });
}

/// Prepares `frame`, as smoltcp wrote it, for a backend with `features`. `size` is set if it is to
/// be cut into segments with so many bytes of payload.
pub(crate) fn prepare(frame: &mut [u8], features: &Features, size: Option<u16>) -> Work {
    let Content::Whole(segment) = content(frame) else {
        return Work::default();
    };
    if segment.protocol != TCP {
        return Work::default();
    }
    let (checksums, gso) = if segment.v6 {
        (features.ipv6_csum, features.gso_tcpv6)
    } else {
        (features.ipv4_csum, features.gso_tcpv4)
    };
    if !checksums {
        finish(frame, &segment);
        return Work::default();
    }
    let pseudo_header = fold(pseudo_header(frame, &segment));
    set_field(frame, &segment, pseudo_header);
    let header = frame
        .get(segment.start + 12)
        .map_or(0, |byte| usize::from(byte >> 4) * 4);
    let payload = (segment.end - segment.start).saturating_sub(header);
    let size = size.filter(|size| gso && payload > usize::from(*size));
    Work {
        blank: true,
        segments: size.map(|size| Segments {
            size,
            v6: segment.v6,
        }),
    }
}

/// Sees to the checksum of a received `frame`; says whether it is, or may be, good.
pub(crate) fn accept(frame: &mut [u8], blank: bool, validated: bool) -> bool {
    match content(frame) {
        Content::Whole(segment) if segment.protocol == TCP => {
            blank || validated || sum(frame, &segment) == 0xffff
        }
        Content::Whole(segment) => {
            if blank {
                finish(frame, &segment);
            }
            true
        }
        // Nobody would check the whole. TCP sees to it that it is not cut.
        Content::Part(TCP) => blank || validated,
        Content::Part(_) | Content::Other => true,
    }
}

/// Which of `queues` a packet goes to: packets of one connection stay in order.
pub(crate) fn queue(frame: &[u8], queues: usize) -> usize {
    let Content::Whole(segment) = content(frame) else {
        return 0;
    };
    let (from, to) = segment.addresses;
    let addresses = frame.get(from..to).unwrap_or_default();
    let ports = frame
        .get(segment.start..segment.start + 4)
        .unwrap_or_default();
    let hash = addresses.iter().chain(ports).fold(0u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    (hash >> 8) as usize % queues.max(1)
}

#[cfg(test)]
mod tests;
