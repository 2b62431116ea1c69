//! What the backend did that no backend may do.

use core::fmt;

use ring::PeerFault;

/// What the backend did that no backend may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misbehaviour {
    Ring(PeerFault),
    /// Another receive slot was due.
    ReceiveId {
        due: u16,
        answered: u16,
    },
    /// What it claims to have received does not lie in the page.
    Range {
        offset: u16,
        length: i16,
    },
    LongChain,
    ManyExtras,
    UnknownExtra(u8),
    Segments {
        size: u16,
        kind: u8,
    },
    Prefix,
    TransmitId(u16),
    /// An answer to extra information where none is outstanding.
    Null,
    Status(i16),
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(fault) => fault.fmt(f),
            Self::ReceiveId { due, answered } => {
                write!(
                    f,
                    "it answered receive slot {answered:#x} where {due:#x} was due"
                )
            }
            Self::Range { offset, length } => {
                write!(f, "{length} bytes at {offset} do not lie in a page")
            }
            Self::LongChain => f.write_str("a packet has too many parts"),
            Self::ManyExtras => f.write_str("a packet has too much extra information"),
            Self::UnknownExtra(kind) => write!(f, "extra information of type {kind}"),
            Self::Segments { size, kind } => {
                write!(f, "a packet of segments of {size} bytes and of type {kind}")
            }
            Self::Prefix => f.write_str("a prefix that it was not asked for"),
            Self::TransmitId(id) => {
                write!(
                    f,
                    "it answered transmit slot {id:#x}, which is not outstanding"
                )
            }
            Self::Null => f.write_str("it answered extra information that was not sent"),
            Self::Status(status) => write!(f, "a transmit slot has status {status}"),
        }
    }
}
