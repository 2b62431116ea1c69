//! Looking up. It runs while the kernel is dying, so it allocates nothing, and a damaged table
//! gives no names instead of a second fault.

use crate::format::{ENTRY_SIZE, HEADER_SIZE, MAGIC};

/// A table, well-formed enough to be searched.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    base: u64,
    entries: &'a [[u8; ENTRY_SIZE]],
    names: &'a [u8],
}

impl<'a> Table<'a> {
    /// The table in these bytes; `None` if there is none.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_SIZE>()?;
        let (magic, numbers) = header.split_first_chunk::<8>()?;
        let (count, numbers) = numbers.split_first_chunk::<4>()?;
        let (_, base) = numbers.split_last_chunk::<8>()?;
        if magic != MAGIC {
            return None;
        }
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (entries, names) = rest.split_at_checked(count.checked_mul(ENTRY_SIZE)?)?;
        let (entries, _) = entries.as_chunks::<ENTRY_SIZE>();
        Some(Self {
            base: u64::from_le_bytes(*base),
            entries,
            names,
        })
    }

    /// The function that holds `address`, and how far into it the address is. `None` outside of
    /// all functions.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Option<(&'a str, u64)> {
        let wanted = u32::try_from(address.checked_sub(self.base)?).ok()?;
        let after = self
            .entries
            .partition_point(|entry| split(entry).0 <= wanted);
        let (start, name) = split(self.entries.get(after.checked_sub(1)?)?);
        let (_, name_end) = split(self.entries.get(after)?);
        let name = self
            .names
            .get(usize::try_from(name).ok()?..usize::try_from(name_end).ok()?)?;
        Some((
            core::str::from_utf8(name).ok()?,
            u64::from(wanted.checked_sub(start)?),
        ))
    }

    /// How many functions it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len().saturating_sub(1)
    }

    /// Whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An entry's address and where its name starts.
fn split(entry: &[u8; ENTRY_SIZE]) -> (u32, u32) {
    let [a0, a1, a2, a3, n0, n1, n2, n3] = *entry;
    (
        u32::from_le_bytes([a0, a1, a2, a3]),
        u32::from_le_bytes([n0, n1, n2, n3]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Function, encode, length};

    const BASE: u64 = 0xffff_ffff_8010_0000;

    fn bytes() -> Vec<u8> {
        let functions = [
            Function {
                address: BASE + 0x40,
                name: "geom::taste",
            },
            Function {
                address: BASE,
                name: "start",
            },
            Function {
                address: BASE + 0x40,
                name: "folded with geom::taste",
            },
        ];
        encode(&functions, BASE + 0x100).unwrap()
    }

    #[test]
    fn an_address_is_found_in_its_function() {
        let bytes = bytes();
        let table = Table::new(&bytes).unwrap();
        assert_eq!(table.len(), 2);
        assert_eq!(table.lookup(BASE), Some(("start", 0)));
        assert_eq!(table.lookup(BASE + 0x3f), Some(("start", 0x3f)));
        assert_eq!(table.lookup(BASE + 0x40), Some(("geom::taste", 0)));
        assert_eq!(table.lookup(BASE + 0xff), Some(("geom::taste", 0xbf)));
    }

    #[test]
    fn an_address_outside_has_no_name() {
        let bytes = bytes();
        let table = Table::new(&bytes).unwrap();
        for address in [0, BASE - 1, BASE + 0x100, u64::MAX] {
            assert_eq!(table.lookup(address), None);
        }
    }

    #[test]
    fn the_length_is_read_from_the_first_bytes() {
        let bytes = bytes();
        assert_eq!(length(bytes.first_chunk().unwrap()), Some(bytes.len()));
        assert_eq!(length(&[0; 16]), None, "the placeholder is no table");
    }

    #[test]
    fn no_functions_make_a_table_without_names() {
        let bytes = encode(&[], BASE).unwrap();
        let table = Table::new(&bytes).unwrap();
        assert!(table.is_empty());
        assert_eq!(table.lookup(BASE), None);
    }

    #[test]
    fn what_cannot_be_represented_is_refused() {
        let far = [
            Function {
                address: 0,
                name: "a",
            },
            Function {
                address: 1 << 33,
                name: "b",
            },
        ];
        assert_eq!(encode(&far, (1 << 33) + 1), None);
        assert_eq!(encode(&far[..1], 0), None, "a function behind the end");
    }

    #[test]
    fn a_damaged_table_never_panics() {
        let good = bytes();
        for cut in 0..good.len() {
            if let Some(table) = Table::new(&good[..cut]) {
                let found = table.lookup(BASE + 0x41);
                assert!(
                    matches!(found, None | Some(("geom::taste", 1))),
                    "{found:?}"
                );
            }
        }
        for index in 0..good.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[index] = value;
                if let Some(table) = Table::new(&bad) {
                    let _ = table.lookup(BASE);
                    let _ = table.lookup(BASE + 0x41);
                    let _ = table.lookup(BASE + 0xff);
                }
            }
        }
    }
}
