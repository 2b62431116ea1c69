//! Why the network would not.

use core::fmt;

use embedded_io_async::ErrorKind;

/// Why the network would not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetError {
    /// No interface leads there.
    Unreachable,
    /// It is no address or port that one can speak to: unspecified, broadcast, multicast, port 0.
    BadAddress,
    /// The port is taken.
    PortInUse,
    /// There is no memory, or no place, for one more socket.
    Full,
    /// The peer refused the connection.
    Refused,
    /// The connection was reset: by the peer, or since its interface or address went away.
    Reset,
    /// No answer came in time.
    TimedOut,
    /// What is to be sent at once is too long.
    TooLong,
    /// There is no such name.
    NoSuchName,
    /// No name server is known.
    NoNameServer,
    /// This end was closed before.
    Closed,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "no interface leads there",
            Self::BadAddress => "no address to speak to",
            Self::PortInUse => "port is in use",
            Self::Full => "no room for one more socket",
            Self::Refused => "connection refused",
            Self::Reset => "connection reset",
            Self::TimedOut => "timed out",
            Self::TooLong => "too long",
            Self::NoSuchName => "no such name",
            Self::NoNameServer => "no name server is known",
            Self::Closed => "closed",
        })
    }
}

impl core::error::Error for NetError {}

impl embedded_io_async::Error for NetError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable | Self::NoNameServer => ErrorKind::AddrNotAvailable,
            Self::BadAddress | Self::TooLong => ErrorKind::InvalidInput,
            Self::PortInUse => ErrorKind::AddrInUse,
            Self::Full => ErrorKind::OutOfMemory,
            Self::Refused => ErrorKind::ConnectionRefused,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::NoSuchName => ErrorKind::NotFound,
            Self::Closed => ErrorKind::BrokenPipe,
        }
    }
}
