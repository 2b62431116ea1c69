//! Making the table.

use alloc::vec::Vec;

use crate::format::{ENTRY_SIZE, HEADER_SIZE, MAGIC};

/// A function of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its first byte's virtual address.
    pub address: u64,
    /// What a backtrace shall call it.
    pub name: &'a str,
}

/// The table of `functions`, which end at `end`. Of functions that share an address, the first
/// given is kept.
///
/// `None` if it cannot be represented: a function at or behind `end`, functions more than 4 GiB
/// apart, or more than 4 GiB of names.
#[must_use]
pub fn encode(functions: &[Function<'_>], end: u64) -> Option<Vec<u8>> {
    let mut sorted: Vec<&Function<'_>> = functions.iter().collect();
    sorted.sort_by_key(|function| function.address);
    sorted.dedup_by_key(|function| function.address);
    let base = sorted.first().map_or(end, |function| function.address);
    if sorted
        .last()
        .is_some_and(|function| function.address >= end)
    {
        return None;
    }
    let count = sorted.len() + 1;
    let mut entries = Vec::with_capacity(count * ENTRY_SIZE);
    let mut names: Vec<u8> = Vec::new();
    for function in sorted {
        entries.extend(u32::try_from(function.address - base).ok()?.to_le_bytes());
        entries.extend(u32::try_from(names.len()).ok()?.to_le_bytes());
        names.extend(function.name.as_bytes());
    }
    entries.extend(u32::try_from(end - base).ok()?.to_le_bytes());
    entries.extend(u32::try_from(names.len()).ok()?.to_le_bytes());

    let length = HEADER_SIZE + entries.len() + names.len();
    let mut table = Vec::with_capacity(length);
    table.extend(MAGIC);
    table.extend(u32::try_from(count).ok()?.to_le_bytes());
    table.extend(u32::try_from(length).ok()?.to_le_bytes());
    table.extend(base.to_le_bytes());
    table.extend(entries);
    table.extend(names);
    Some(table)
}
