//! Shared memory made of plain heap bytes, for tests and for simulated domains.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::SharedMem;

/// Bytes on the heap that every clone sees: two clones are two domains looking at one page.
///
/// It lives on one thread, so every access is atomic by itself.
#[derive(Clone, Debug)]
pub struct HeapMemory(Rc<RefCell<Vec<u8>>>);

impl HeapMemory {
    /// Memory of `length` zero bytes.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self(Rc::new(RefCell::new(vec![0; length])))
    }

    /// A copy of all bytes, as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }

    fn load<const N: usize>(&self, offset: usize) -> [u8; N] {
        assert!(offset.is_multiple_of(N), "unaligned access at {offset}");
        let mut bytes = [0; N];
        self.read(offset, &mut bytes);
        bytes
    }

    fn store<const N: usize>(&self, offset: usize, bytes: [u8; N]) {
        assert!(offset.is_multiple_of(N), "unaligned access at {offset}");
        self.write(offset, &bytes);
    }
}

impl SharedMem for HeapMemory {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.0.borrow()[offset..offset + into.len()]);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        self.0.borrow_mut()[offset..offset + from.len()].copy_from_slice(from);
    }

    fn fill(&self, offset: usize, length: usize, value: u8) {
        self.0.borrow_mut()[offset..offset + length].fill(value);
    }

    fn load_u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.load(offset))
    }

    fn store_u32(&self, offset: usize, value: u32) {
        self.store(offset, value.to_le_bytes());
    }

    fn load_u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.load(offset))
    }

    fn store_u64(&self, offset: usize, value: u64) {
        self.store(offset, value.to_le_bytes());
    }

    fn compare_exchange_u16(&self, offset: usize, current: u16, new: u16) -> Result<u16, u16> {
        let found = u16::from_le_bytes(self.load(offset));
        if found != current {
            return Err(found);
        }
        self.store(offset, new.to_le_bytes());
        Ok(found)
    }

    fn fetch_or_u64(&self, offset: usize, mask: u64) -> u64 {
        let before = self.load_u64(offset);
        self.store_u64(offset, before | mask);
        before
    }

    fn fetch_and_u64(&self, offset: usize, mask: u64) -> u64 {
        let before = self.load_u64(offset);
        self.store_u64(offset, before & mask);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_see_the_same_bytes() {
        let ours = HeapMemory::new(16);
        let theirs = ours.clone();
        ours.store_u32(4, 0x0102_0304);
        assert_eq!(theirs.snapshot()[4..8], [4, 3, 2, 1]);
        assert_eq!(theirs.compare_exchange_u16(4, 0, 9), Err(0x0304));
        assert_eq!(theirs.compare_exchange_u16(4, 0x0304, 9), Ok(0x0304));
        assert_eq!(ours.load_u32(4), 0x0102_0009);
        assert_eq!(ours.fetch_or_u64(8, 6), 0);
        assert_eq!(ours.fetch_and_u64(8, 3), 6);
        assert_eq!(ours.load_u64(8), 2);
    }

    #[test]
    #[should_panic(expected = "unaligned")]
    fn an_unaligned_word_is_a_bug() {
        HeapMemory::new(16).load_u32(2);
    }
}
