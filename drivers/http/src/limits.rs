//! How much a client may send, and how long it may take.

use core::time::Duration;

/// Bytes of a request line without its end; above it is 414.
pub const REQUEST_LINE: usize = 2048;
/// Bytes of a head, from the request line to the empty line; above it is 431.
pub const HEAD: usize = 8192;
/// Fields of a head; above it is 431.
pub const FIELDS: usize = 64;
/// Bytes of a body; above it is 413.
pub const BODY: usize = 4096;

/// How long a connection may be without a request.
pub const IDLE: Duration = Duration::from_secs(15);
/// How long a request may take to arrive, from its first byte on; above it is 408.
pub const ARRIVAL: Duration = Duration::from_secs(10);
/// How long a client may take to let [`PIECE`] bytes of an answer in.
pub const DEPARTURE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are written under one deadline.
pub const PIECE: usize = 8192;

/// How long a client may take to let a whole body of `bytes` in, which holds that much memory for
/// as long: [`DEPARTURE`], and a second for each [`PIECE`].
#[must_use]
pub fn whole_departure(bytes: usize) -> Duration {
    DEPARTURE + Duration::from_secs((bytes / PIECE) as u64)
}

/// Bytes of a refused request that are still read, so that the client sees the answer before the
/// connection's end.
pub const LINGER: usize = 64 << 10;
/// How long that may take.
pub const LINGER_FOR: Duration = Duration::from_secs(1);
