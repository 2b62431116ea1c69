//! Memory that somebody else may be writing.

/// The size of a page, in bytes.
pub const PAGE_SIZE: usize = 4096;

/// Memory that another domain, or Xen, may read and write at any moment.
///
/// It is never lent as a reference. Values are copied out once, checked, and only the copy is used;
/// so nothing a peer writes later can change what was checked.
///
/// Loads acquire and stores release, so a producer index stored after its slots is seen after them.
/// A full barrier is [`core::sync::atomic::fence`] with `SeqCst`.
///
/// Every method panics if it would leave `0..len()`, or if an offset is not a multiple of the
/// access's size: offsets are this domain's own arithmetic, never a peer's number unchecked.
pub trait SharedMem {
    /// The length in bytes.
    fn len(&self) -> usize;

    /// Whether there is no memory at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `into.len()` bytes from `offset` on, each byte read once.
    fn read(&self, offset: usize, into: &mut [u8]);

    /// Copies `from` to `offset` and on, each byte written once.
    fn write(&self, offset: usize, from: &[u8]);

    /// Fills `length` bytes from `offset` on with `value`.
    fn fill(&self, offset: usize, length: usize, value: u8);

    /// Loads a 32-bit value with acquire ordering.
    fn load_u32(&self, offset: usize) -> u32;

    /// Stores a 32-bit value with release ordering.
    fn store_u32(&self, offset: usize, value: u32);

    /// Loads a 64-bit value with acquire ordering.
    fn load_u64(&self, offset: usize) -> u64;

    /// Stores a 64-bit value with release ordering.
    fn store_u64(&self, offset: usize, value: u64);

    /// Atomically replaces the 16-bit value `current` with `new`.
    ///
    /// # Errors
    /// The value found, if it was not `current`; nothing was written then.
    fn compare_exchange_u16(&self, offset: usize, current: u16, new: u16) -> Result<u16, u16>;

    /// Atomically sets the bits of `mask`; returns the value before.
    fn fetch_or_u64(&self, offset: usize, mask: u64) -> u64;

    /// Atomically keeps only the bits of `mask`; returns the value before.
    fn fetch_and_u64(&self, offset: usize, mask: u64) -> u64;
}

/// A shared pointer to shared memory is that memory.
impl<M: SharedMem + ?Sized> SharedMem for alloc::rc::Rc<M> {
    fn len(&self) -> usize {
        (**self).len()
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        (**self).read(offset, into);
    }
    fn write(&self, offset: usize, from: &[u8]) {
        (**self).write(offset, from);
    }
    fn fill(&self, offset: usize, length: usize, value: u8) {
        (**self).fill(offset, length, value);
    }
    fn load_u32(&self, offset: usize) -> u32 {
        (**self).load_u32(offset)
    }
    fn store_u32(&self, offset: usize, value: u32) {
        (**self).store_u32(offset, value);
    }
    fn load_u64(&self, offset: usize) -> u64 {
        (**self).load_u64(offset)
    }
    fn store_u64(&self, offset: usize, value: u64) {
        (**self).store_u64(offset, value);
    }
    fn compare_exchange_u16(&self, offset: usize, current: u16, new: u16) -> Result<u16, u16> {
        (**self).compare_exchange_u16(offset, current, new)
    }
    fn fetch_or_u64(&self, offset: usize, mask: u64) -> u64 {
        (**self).fetch_or_u64(offset, mask)
    }
    fn fetch_and_u64(&self, offset: usize, mask: u64) -> u64 {
        (**self).fetch_and_u64(offset, mask)
    }
}
