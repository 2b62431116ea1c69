//! What can go wrong with the store.

use core::fmt;

use ring::PeerFault;

/// Why the store did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// There is no such node (`ENOENT`).
    NoEntry,
    /// This domain may not do that (`EACCES`, `EPERM`, `EROFS`).
    Denied,
    /// A transaction met others' changes, too many times in a row (`EAGAIN`).
    Again,
    /// One of the domain's quotas is used up, or the daemon's memory (`ENOSPC`, `ENOMEM`,
    /// `EDQUOT`).
    Quota,
    /// The answer or the request is larger than the store allows (`E2BIG`).
    TooLong,
    /// It exists already (`EEXIST`).
    Exists,
    /// The daemon finds the request wrong (`EINVAL`).
    Invalid,
    /// Any other error the daemon gave.
    Refused,
    /// The path is none: see [`path::check`](crate::path::check). Nothing was sent.
    BadPath,
    /// The value is not UTF-8 text.
    NotText,
    /// The daemon's answer is none to the request.
    BadReply,
    /// The daemon did not answer in time.
    TimedOut,
    /// The node is another one than before: it was removed and made again.
    Replaced,
    /// The connection to the store is lost for good.
    Lost(ProtocolError),
}

impl StoreError {
    /// The error that the daemon calls `name` (`xsd_errors` in xs_wire.h), without its NUL.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Self {
        match name {
            b"ENOENT" => Self::NoEntry,
            b"EACCES" | b"EPERM" | b"EROFS" => Self::Denied,
            b"EAGAIN" => Self::Again,
            b"ENOSPC" | b"ENOMEM" | b"EDQUOT" => Self::Quota,
            b"E2BIG" => Self::TooLong,
            b"EEXIST" => Self::Exists,
            b"EINVAL" => Self::Invalid,
            _ => Self::Refused,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEntry => "no such node",
            Self::Denied => "permission denied",
            Self::Again => "the transaction met others too often",
            Self::Quota => "a quota of the store is used up",
            Self::TooLong => "too long for the store",
            Self::Exists => "it exists already",
            Self::Invalid => "the store finds the request invalid",
            Self::Refused => "the store refused the request",
            Self::BadPath => "not a store path",
            Self::NotText => "the value is not text",
            Self::BadReply => "the store's answer does not fit the request",
            Self::TimedOut => "the store does not answer",
            Self::Replaced => "the node was removed and made again",
            Self::Lost(error) => return write!(f, "the store is lost: {error}"),
        })
    }
}

impl core::error::Error for StoreError {}

/// What the daemon did that ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// An index of the ring that cannot be true.
    Ring(PeerFault),
    /// A message longer than the protocol allows.
    TooLong {
        /// The length it announced, in bytes.
        length: u32,
    },
    /// A watch event without path and token.
    WatchEvent,
    /// The ring page's `error` field: 1 communication, 2 ring index, 3 protocol violation.
    Server(u32),
    /// The daemon closed the connection.
    Closed,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(fault) => fault.fmt(f),
            Self::TooLong { length } => write!(f, "a message of {length} bytes"),
            Self::WatchEvent => f.write_str("a watch event without path and token"),
            Self::Server(code) => write!(f, "the daemon reports error {code}"),
            Self::Closed => f.write_str("the daemon closed the connection"),
        }
    }
}

impl core::error::Error for ProtocolError {}

impl From<PeerFault> for ProtocolError {
    fn from(fault: PeerFault) -> Self {
        Self::Ring(fault)
    }
}
