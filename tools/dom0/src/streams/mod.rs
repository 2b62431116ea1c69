//! TCP streams and paced UDP, to measure a guest's network by: the same program serves in a Linux
//! guest and asks in dom0, and `boot/examples/streams.rs` serves in the same way.
//!
//! What is served, all numbers little endian:
//! - TCP port [`SINK`]: reads to the end of the stream, then sends how many bytes those were (u64)
//! - TCP port [`SOURCE`]: reads a number (u64), and sends so many bytes
//! - UDP port [`COUNTER`]: counts datagrams of more than [`QUESTION`] bytes; answers one of
//!   [`QUESTION`] bytes with itself and how many those were since the start (u64)
//!
//! - [`serve`]: the server
//! - [`ask`]: the client, and what it prints

pub mod ask;
pub mod serve;

/// Where bytes go.
pub const SINK: u16 = 5001;
/// Where bytes come from.
pub const SOURCE: u16 = 5002;
/// Where datagrams are counted.
pub const COUNTER: u16 = 5003;
/// Bytes of a question.
pub const QUESTION: usize = 8;

/// Bytes that are moved at once: more than a socket's buffer has at a time.
const PIECE: usize = 256 << 10;
