//! The bytes: a header, entries sorted by address, names.
//!
//! | offset | what |
//! | --- | --- |
//! | 0 | [`MAGIC`] |
//! | 8 | u32: entries |
//! | 12 | u32: length of the whole table in bytes |
//! | 16 | u64: base, which entries' addresses count from |
//! | 24 | entries: u32 address - base, u32 where the name starts in the names |
//! | then | the names, UTF-8, end to end |
//!
//! An entry reaches to the next one, its name too. The last entry has no name: it says where the
//! last function ends. All numbers are little-endian.

/// How the table starts.
pub const MAGIC: &[u8; 8] = b"XENOSYMS";

/// Bytes before the first entry.
pub const HEADER_SIZE: usize = 24;

/// Bytes of one entry.
pub(crate) const ENTRY_SIZE: usize = 8;

/// The length of the table that starts with these bytes; `None` if no table does.
///
/// An image that `cargo xtask build` has not finished has none: its placeholder is zero.
#[must_use]
pub fn length(start: &[u8; 16]) -> Option<usize> {
    let [magic @ .., _, _, _, _, l0, l1, l2, l3] = start;
    let length = usize::try_from(u32::from_le_bytes([*l0, *l1, *l2, *l3])).ok()?;
    (magic == MAGIC && length >= HEADER_SIZE).then_some(length)
}
