//! Fuzz harnesses that replay under `cargo test`.
//!
//! Whatever reads bytes that somebody else wrote has a harness here: a function from bytes to
//! nothing that panics when its oracle is broken. Each opens by stating that oracle, which is
//! always more than "did not panic".
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`gpt`] | GUID partition tables |
//! | [`mbr`] | master boot records and chains of extended ones |
//! | [`http_request`] | requests of HTTP clients, however they are cut |
//! | [`xenstore_message`] | messages of the xenstore daemon, however they are cut |
//! | [`numbers`] | numbers in the store and numbers people type |
//! | [`response_ring`] | the frontend's end of a request ring |
//! | [`command_line`] | the kernel command line and lines at the shell |
//! | [`nbd_options`] | the handshake of the NBD server |
//! | [`nbd_requests`] | its transmission phase |
//! | [`nbd_stream`] | a client of it for both |
//! | [`dns_answers`] | what a name server answers |
//! | [`network_frames`] | frames that a network interface receives |
//! | `network_host` | the host for both |
//! | [`harnesses`] | all of them by name |
//! | [`image`] | how the first two turn an input into a disk |
//! | [`repair`] | makes a changed GPT consistent again |
//! | [`judge`] | an independent reading of both, to compare with |
//! | [`laws`] | what holds for every accepted table |
//! | [`mutate`] | seeded changes to inputs, for all harnesses |
//! | [`replay`] | corpus and seeded inputs under `cargo test` |
//! | [`random`] | the one source of chance |
//!
//! # A new harness
//!
//! One file `src/NAME.rs` with `pub fn NAME(data: &[u8])`, some inputs in `corpus/NAME/`, one line
//! in [`HARNESSES`] and one in `tests/replay.rs`. `cargo test -p fuzz` then runs the corpus and
//! 5,000 seeded inputs; `XENOLITH_LONG=1` makes it 100,000. A failure prints its seed and keeps the
//! input as a file; put that file into `corpus/NAME/` and the bug has its test.
//!
//! # With coverage
//!
//! `shim/` is a libFuzzer binary around the same functions. No gate builds it: it is a package of
//! its own, and its README has the one command that runs it.
#![forbid(unsafe_code)]

pub mod command_line;
pub mod dns_answers;
pub mod gpt;
pub mod harnesses;
pub mod http_request;
pub mod image;
pub mod judge;
pub mod laws;
pub mod mbr;
pub mod mutate;
pub mod nbd_options;
pub mod nbd_requests;
pub mod nbd_stream;
pub mod network_frames;
mod network_host;
pub mod numbers;
pub mod random;
pub mod repair;
pub mod replay;
pub mod response_ring;
pub mod xenstore_message;

pub use harnesses::HARNESSES;
