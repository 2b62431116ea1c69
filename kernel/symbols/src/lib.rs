//! The table of function names inside the image, for backtraces.
//!
//! `cargo xtask build` makes it from the linked image's symbols with [`encode()`] and puts it into
//! the image's last segment; an epitaph looks addresses up in it with [`Table`]. Nothing in the
//! image points into the table but its start, so putting it in moves no address.
//!
//! - [`format`]: the bytes
//! - [`mod@encode`]: making the table
//! - [`table`]: looking up
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod encode;
pub mod format;
pub mod table;

pub use encode::{Function, encode};
pub use format::{HEADER_SIZE, MAGIC, length};
pub use table::Table;
