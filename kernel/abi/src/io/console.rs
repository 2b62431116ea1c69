//! `io/console.h`: the page of a console. Two byte rings; indices are free-running u32.

/// Bytes from the backend to this domain.
pub const IN: usize = 0;
/// How many of them the ring holds.
pub const IN_SIZE: usize = 1024;
/// Bytes from this domain to the backend.
pub const OUT: usize = 1024;
/// How many of them the ring holds.
pub const OUT_SIZE: usize = 2048;
/// u32: bytes this domain has taken.
pub const IN_CONS: usize = 3072;
/// u32: bytes the backend has put.
pub const IN_PROD: usize = 3076;
/// u32: bytes the backend has taken.
pub const OUT_CONS: usize = 3080;
/// u32: bytes this domain has put.
pub const OUT_PROD: usize = 3084;
/// u8: [`CONNECTED`] or [`DISCONNECTED`]. Since Xen 4.18; zero before.
pub const CONNECTION: usize = 3088;

/// A backend serves the page.
pub const CONNECTED: u8 = 0;
/// Nobody will take what is put: do not wait for room.
pub const DISCONNECTED: u8 = 1;
