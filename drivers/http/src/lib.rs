//! A small, strict HTTP/1.1 server over any byte stream (RFC 9110, RFC 9112).
//!
//! What can be read in two ways is refused: a server behind a proxy that reads it the other way
//! would otherwise answer a request that nobody sent. Time comes in as an argument. Memory is
//! bounded by [`limits`] for each connection; how many there are is for the caller to say.
//!
//! Requests, from the bytes up; all of it plain functions of bytes:
//! - [`limits`]: how much a client may send
//! - [`refusal`]: [`Refusal`]: why a request is not answered as it wants
//! - [`scan`]: where a head ends, byte by byte
//! - [`head`]: [`Head`]: request line and fields
//! - [`target`]: what is asked for
//! - [`framing`]: how long the body is, if that can be told without doubt
//! - [`incoming`]: [`Incoming`]: bytes that came, until they are requests
//!
//! Answers:
//! - [`status`]: [`Status`], what became of a request
//! - [`response`]: [`Response`]: its fields and its body, or a stream of chunks
//! - [`serve`](mod@serve): one connection, to its end
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod framing;
pub mod head;
pub mod incoming;
pub mod limits;
pub mod refusal;
pub mod response;
pub mod scan;
pub mod serve;
pub mod status;
pub mod target;

pub use head::{Head, Method};
pub use incoming::{Incoming, Request};
pub use refusal::Refusal;
pub use response::{Body, Chunks, Response};
pub use serve::{End, serve};
pub use status::Status;
