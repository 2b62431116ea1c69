//! The bytes behind a simulated disk; what was never written reads as zeros and takes no memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Bytes kept together.
const BLOCK: u64 = 4096;

/// A disk's contents; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    blocks: Rc<RefCell<BTreeMap<u64, Vec<u8>>>>,
}

impl Disk {
    /// A disk of zeros.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that starts with these bytes.
    #[must_use]
    pub fn with(bytes: &[u8]) -> Self {
        let disk = Self::new();
        disk.write(0, bytes);
        disk
    }

    /// Copies bytes from `offset` on.
    pub fn read(&self, offset: u64, into: &mut [u8]) {
        let blocks = self.blocks.borrow();
        each_block(offset, into.len(), |block, within, range| {
            let part = &mut into[range];
            match blocks.get(&block) {
                Some(bytes) => part.copy_from_slice(&bytes[within..within + part.len()]),
                None => part.fill(0),
            }
        });
    }

    /// Stores bytes from `offset` on.
    pub fn write(&self, offset: u64, from: &[u8]) {
        let mut blocks = self.blocks.borrow_mut();
        each_block(offset, from.len(), |block, within, range| {
            let part = &from[range];
            let bytes = blocks
                .entry(block)
                .or_insert_with(|| vec![0; BLOCK as usize]);
            bytes[within..within + part.len()].copy_from_slice(part);
        });
    }

    /// The bytes from `offset` on.
    #[must_use]
    pub fn bytes(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.read(offset, &mut bytes);
        bytes
    }
}

/// Calls `each` with the block's number, the offset in it and the range of the `length` bytes.
fn each_block(
    offset: u64,
    length: usize,
    mut each: impl FnMut(u64, usize, std::ops::Range<usize>),
) {
    let mut done = 0;
    while done < length {
        let at = offset + done as u64;
        let within = (at % BLOCK) as usize;
        let count = (BLOCK as usize - within).min(length - done);
        each(at / BLOCK, within, done..done + count);
        done += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_across_blocks_come_back_and_the_rest_is_zero() {
        let disk = Disk::new();
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
        disk.write(4000, &bytes);
        assert_eq!(disk.bytes(4000, 10_000), bytes);
        assert_eq!(disk.bytes(3999, 2), [0, bytes[0]]);
        assert_eq!(disk.bytes(1 << 40, 3), [0, 0, 0]);
    }
}
