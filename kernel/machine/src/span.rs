//! The one way to touch memory that others may write.
#![expect(unsafe_code, reason = "volatile and atomic access to shared memory")]

use core::arch::asm;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use hv::SharedMem;
use volatile::VolatilePtr;

use crate::vector;

/// From this length on, copies are made by one string instruction instead of a loop.
const BULK: usize = 64;

/// Mapped memory. Whoever holds a span holds the mapping, so the memory outlives it.
///
/// Nothing else in the domain has a reference into a span's memory, but other domains and Xen may
/// write it at any moment. All access is volatile, atomic or by assembly; never by reference.
pub(crate) struct Span {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: a span is no more than an address; all access to what it names is made as if other CPUs
// wrote it at the same time, since they may.
unsafe impl Send for Span {}
// SAFETY: as for `Send`.
unsafe impl Sync for Span {}

impl Span {
    /// The `length` bytes at `address`.
    ///
    /// # Safety
    /// They must stay mapped, writable unless nobody writes through the span, for as long as the
    /// span lives; no reference may exist into them; `address` is not 0 and a multiple of 8.
    pub(crate) unsafe fn new(address: u64, length: usize) -> Self {
        let base = ptr::with_exposed_provenance_mut(address as usize);
        // SAFETY: the caller promises that the address is not 0.
        let base = unsafe { NonNull::new_unchecked(base) };
        Self { base, length }
    }

    /// The address of `size` bytes at `offset`.
    fn at<T>(&self, offset: usize, size: usize) -> *mut T {
        assert!(
            size <= self.length && offset <= self.length - size,
            "access beyond shared memory"
        );
        self.base.as_ptr().wrapping_add(offset).cast()
    }

    /// The address of a value of its own size's alignment.
    fn aligned<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset.is_multiple_of(size_of::<T>()),
            "unaligned access to shared memory"
        );
        self.at(offset, size_of::<T>())
    }

    fn volatile<T>(&self, offset: usize) -> VolatilePtr<'_, T> {
        let pointer = self.aligned(offset);
        // SAFETY: `aligned` returns addresses inside the span, which is not at 0.
        let pointer = unsafe { NonNull::new_unchecked(pointer) };
        // SAFETY: the value lies in the span, aligned and mapped; access is volatile.
        unsafe { VolatilePtr::new(pointer) }
    }

    /// Copies `length` bytes at `offset` to `target_offset` of `target`.
    #[inline]
    pub(crate) fn copy_to(
        &self,
        offset: usize,
        target: &Self,
        target_offset: usize,
        length: usize,
    ) {
        let source = self.at::<u8>(offset, length);
        let destination = target.at::<u8>(target_offset, length);
        // SAFETY: both ends lie in their spans, into which there are no references.
        unsafe { copy(destination, source, length) };
    }

    fn u16(&self, offset: usize) -> &AtomicU16 {
        // SAFETY: the value lies in the span, aligned and mapped; access is atomic.
        unsafe { AtomicU16::from_ptr(self.aligned(offset)) }
    }

    fn u32(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: as in `u16`.
        unsafe { AtomicU32::from_ptr(self.aligned(offset)) }
    }

    fn u64(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: as in `u16`.
        unsafe { AtomicU64::from_ptr(self.aligned(offset)) }
    }
}

/// Copies `count` bytes: blocks by wide registers if there are any, words, then the rest. Each byte
/// is read once and written once.
///
/// # Safety
/// Both ends must be mapped for `count` bytes; no reference may exist into the destination but the
/// caller's own. Where they overlap, what is copied is not defined.
unsafe fn copy(mut destination: *mut u8, mut source: *const u8, mut count: usize) {
    if count >= vector::BLOCK && vector::are_on() {
        let blocks = count / vector::BLOCK;
        // SAFETY: the caller's promise, for as many bytes as the blocks have.
        unsafe { vector::copy_blocks(destination, source, blocks) };
        let copied = blocks * vector::BLOCK;
        count -= copied;
        if count == 0 {
            return;
        }
        destination = destination.wrapping_add(copied);
        source = source.wrapping_add(copied);
    }
    // SAFETY: the caller's promise. The direction flag is clear in Rust.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {rest:e}",
            "rep movsb",
            rest = in(reg) count % 8,
            inout("rcx") count / 8 => _,
            inout("rsi") source => _,
            inout("rdi") destination => _,
            options(nostack, preserves_flags),
        );
    }
}

/// How many of `count` bytes at `offset` are moved as whole aligned words; the others behind them
/// one by one.
fn in_words(offset: usize, count: usize) -> usize {
    if offset.is_multiple_of(8) {
        count / 8 * 8
    } else {
        0
    }
}

impl SharedMem for Span {
    fn len(&self) -> usize {
        self.length
    }

    #[inline]
    fn read(&self, offset: usize, into: &mut [u8]) {
        if into.len() >= BULK {
            let source = self.at::<u8>(offset, into.len());
            // SAFETY: the source lies in the span, the destination is the caller's.
            unsafe { copy(into.as_mut_ptr(), source, into.len()) };
            return;
        }
        let (words, bytes) = into.split_at_mut(in_words(offset, into.len()));
        for (index, word) in words.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *word = self
                .volatile::<u64>(offset + index * 8)
                .read()
                .to_ne_bytes();
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = self.volatile::<u8>(offset + words.len() + index).read();
        }
    }

    #[inline]
    fn write(&self, offset: usize, from: &[u8]) {
        if let [byte] = *from {
            self.volatile(offset).write(byte);
            return;
        }
        if from.len() >= BULK {
            let destination = self.at::<u8>(offset, from.len());
            // SAFETY: the destination lies in the span, the source is the caller's.
            unsafe { copy(destination, from.as_ptr(), from.len()) };
            return;
        }
        let (words, bytes) = from.split_at(in_words(offset, from.len()));
        for (index, word) in words.as_chunks::<8>().0.iter().enumerate() {
            self.volatile(offset + index * 8)
                .write(u64::from_ne_bytes(*word));
        }
        for (index, byte) in bytes.iter().enumerate() {
            self.volatile(offset + words.len() + index).write(*byte);
        }
    }

    fn fill(&self, offset: usize, length: usize, value: u8) {
        let destination = self.at::<u8>(offset, length);
        // SAFETY: the bytes lie in the span. The direction flag is clear in Rust.
        unsafe {
            asm!(
                "rep stosq",
                "mov ecx, {rest:e}",
                "rep stosb",
                rest = in(reg) length % 8,
                in("rax") u64::from_ne_bytes([value; 8]),
                inout("rcx") length / 8 => _,
                inout("rdi") destination => _,
                options(nostack, preserves_flags),
            );
        }
    }

    fn load_u32(&self, offset: usize) -> u32 {
        self.u32(offset).load(Ordering::Acquire)
    }

    fn store_u32(&self, offset: usize, value: u32) {
        self.u32(offset).store(value, Ordering::Release);
    }

    fn load_u64(&self, offset: usize) -> u64 {
        self.u64(offset).load(Ordering::Acquire)
    }

    fn store_u64(&self, offset: usize, value: u64) {
        self.u64(offset).store(value, Ordering::Release);
    }

    fn compare_exchange_u16(&self, offset: usize, current: u16, new: u16) -> Result<u16, u16> {
        self.u16(offset)
            .compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
    }

    fn fetch_or_u64(&self, offset: usize, mask: u64) -> u64 {
        self.u64(offset).fetch_or(mask, Ordering::AcqRel)
    }

    fn fetch_and_u64(&self, offset: usize, mask: u64) -> u64 {
        self.u64(offset).fetch_and(mask, Ordering::AcqRel)
    }
}

/// Implements [`SharedMem`] for a type by its `span`.
macro_rules! shared_by_span {
    ($owner:ty) => {
        impl $owner {
            /// All of it.
            pub(crate) fn span(&self) -> &Span {
                &self.span
            }
        }
        impl hv::SharedMem for $owner {
            fn len(&self) -> usize {
                self.span.len()
            }
            fn read(&self, offset: usize, into: &mut [u8]) {
                self.span.read(offset, into);
            }
            fn write(&self, offset: usize, from: &[u8]) {
                self.span.write(offset, from);
            }
            fn fill(&self, offset: usize, length: usize, value: u8) {
                self.span.fill(offset, length, value);
            }
            fn load_u32(&self, offset: usize) -> u32 {
                self.span.load_u32(offset)
            }
            fn store_u32(&self, offset: usize, value: u32) {
                self.span.store_u32(offset, value);
            }
            fn load_u64(&self, offset: usize) -> u64 {
                self.span.load_u64(offset)
            }
            fn store_u64(&self, offset: usize, value: u64) {
                self.span.store_u64(offset, value);
            }
            fn compare_exchange_u16(
                &self,
                offset: usize,
                current: u16,
                new: u16,
            ) -> Result<u16, u16> {
                self.span.compare_exchange_u16(offset, current, new)
            }
            fn fetch_or_u64(&self, offset: usize, mask: u64) -> u64 {
                self.span.fetch_or_u64(offset, mask)
            }
            fn fetch_and_u64(&self, offset: usize, mask: u64) -> u64 {
                self.span.fetch_and_u64(offset, mask)
            }
        }
    };
}
pub(crate) use shared_by_span;
