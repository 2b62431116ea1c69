//! The image's table of function names, for backtraces.
//!
//! `cargo xtask build` writes it into the linked image. All numbers are little endian:
//!
//! ```text
//! u32 magic "NAM1" | u32 count | count x { u32 address - base, u32 name } | names
//! ```
//!
//! Addresses are sorted; `name` is the offset, from the table's start, of UTF-8 text that ends with a
//! NUL. An entry with an empty name ends the function before it.

/// The first four bytes of a table.
pub const MAGIC: u32 = u32::from_le_bytes(*b"NAM1");
/// Bytes of the header, and of one entry.
const UNIT: usize = 8;

/// A table of function names.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    table: &'a [u8],
    base: u64,
}

impl<'a> Names<'a> {
    /// The table in `table`, whose addresses count from `base`. A table without names, or a damaged
    /// one, knows no function.
    #[must_use]
    pub fn new(table: &'a [u8], base: u64) -> Self {
        Self { table, base }
    }

    /// The function that `address` lies in, and how far into it.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Option<(&'a str, u64)> {
        let target = u32::try_from(address.checked_sub(self.base)?).ok()?;
        let after = self.entries_up_to(target);
        let (start, name) = self.entry(after.checked_sub(1)?)?;
        let text = self.table.get(usize::try_from(name).ok()?..)?;
        let end = text.iter().position(|byte| *byte == 0)?;
        let name = core::str::from_utf8(text.get(..end)?).ok()?;
        (!name.is_empty()).then_some((name, u64::from(target.checked_sub(start)?)))
    }

    /// How many entries start at or before `target`.
    fn entries_up_to(&self, target: u32) -> usize {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entry(middle) {
                Some((start, _)) if start <= target => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    fn count(&self) -> usize {
        let room = self.table.len() / UNIT;
        match (self.word(0), self.word(4)) {
            (Some(MAGIC), Some(count)) => usize::try_from(count).unwrap_or(0).min(room),
            _ => 0,
        }
    }

    fn entry(&self, index: usize) -> Option<(u32, u32)> {
        let at = UNIT + index * UNIT;
        Some((self.word(at)?, self.word(at + 4)?))
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.table.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0xffff_ffff_8000_0000;

    fn table(entries: &[(u32, &str)]) -> Vec<u8> {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend(u32::try_from(entries.len()).unwrap().to_le_bytes());
        let mut names = Vec::new();
        for (address, name) in entries {
            let at = 8 + entries.len() * 8 + names.len();
            bytes.extend(address.to_le_bytes());
            bytes.extend(u32::try_from(at).unwrap().to_le_bytes());
            names.extend(name.bytes().chain([0]));
        }
        bytes.extend(names);
        bytes
    }

    #[test]
    fn an_address_belongs_to_the_function_that_starts_at_or_before_it() {
        let bytes = table(&[
            (0, "_start"),
            (0x40, "boot::run"),
            (0x1000, "geom::taste"),
            (0x1100, ""),
        ]);
        let names = Names::new(&bytes, BASE);
        assert_eq!(names.lookup(BASE), Some(("_start", 0)));
        assert_eq!(names.lookup(BASE + 0x3f), Some(("_start", 0x3f)));
        assert_eq!(names.lookup(BASE + 0x40), Some(("boot::run", 0)));
        assert_eq!(names.lookup(BASE + 0x10ff), Some(("geom::taste", 0xff)));
        assert_eq!(names.lookup(BASE + 0x1100), None, "after the last function");
        assert_eq!(names.lookup(BASE - 1), None);
        assert_eq!(names.lookup(0), None);
    }

    #[test]
    fn a_missing_or_damaged_table_knows_nothing_and_does_no_harm() {
        assert_eq!(Names::new(&[], BASE).lookup(BASE + 1), None);
        assert_eq!(Names::new(&[0; 64], BASE).lookup(BASE + 1), None);
        let whole = table(&[(0, "_start"), (0x40, "boot::run")]);
        for length in 0..whole.len() {
            let _any_answer = Names::new(&whole[..length], BASE).lookup(BASE + 0x41);
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            let _any_answer = Names::new(&damaged, BASE).lookup(BASE + 0x41);
        }
    }
}
