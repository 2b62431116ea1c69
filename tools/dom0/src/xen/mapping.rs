//! Pages that other domains use too, mapped from one of Linux's devices.
#![expect(unsafe_code, reason = "mmap, and memory that others write at any time")]

use super::ioctl::{Call, call};
use hv::{PAGE_SIZE, SharedMem};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::io;
use std::ptr::{NonNull, null_mut};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Mapped pages; dropped, they are unmapped and given back to their device.
#[derive(Debug)]
pub(crate) struct Mapping {
    device: Rc<File>,
    address: NonNull<u8>,
    index: [u32; 2],
    count: u32,
    give_back: Call,
}

impl Mapping {
    /// Maps the `count` pages that the device has at `index`. They are the mapping's own from now
    /// on, also if this fails: it gives them back by `give_back`, one of the calls that take index
    /// and count.
    pub(super) fn new(
        device: &Rc<File>,
        index: [u32; 2],
        count: u32,
        give_back: Call,
    ) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let address = unsafe {
            mmap(
                null_mut(),
                count as usize * PAGE_SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &**device,
                u64::from(index[1]) << 32 | u64::from(index[0]),
            )
        };
        let address = address.map_err(io::Error::from).and_then(|address| {
            NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at 0"))
        });
        if address.is_err() {
            call(device, give_back, &mut [index[0], index[1], count, 0])?;
        }
        Ok(Self {
            device: Rc::clone(device),
            address: address?,
            index,
            count,
            give_back,
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let (address, length) = (self.address.as_ptr(), self.len());
        // SAFETY: the mapping is this one's own, and nobody has a reference into it any more.
        let unmapped = unsafe { munmap(address.cast(), length) };
        let [low, high] = self.index;
        let mut words = [low, high, self.count, 0];
        let given_back = call(&self.device, self.give_back, &mut words);
        if let Err(error) = unmapped.map_err(io::Error::from).and(given_back) {
            eprintln!("unmapping: {error}");
        }
    }
}

/// What is valid whatever others make of its bytes meanwhile.
trait Atomic {}
impl Atomic for AtomicU8 {}
impl Atomic for AtomicU16 {}
impl Atomic for AtomicU32 {}
impl Atomic for AtomicU64 {}

impl Mapping {
    /// What is at `offset`, which must be aligned and inside.
    fn cell<A: Atomic>(&self, offset: usize) -> &A {
        let size = size_of::<A>();
        assert!(
            offset.is_multiple_of(size) && offset < self.len() && size <= self.len() - offset,
            "{size} bytes at {offset} of {}",
            self.len()
        );
        // SAFETY: inside the mapping: that was asserted.
        let place = unsafe { self.address.add(offset) };
        // SAFETY: aligned, as a mapping begins at a page; mapped as long as `self` lives; an
        // atomic, so that others may write it.
        unsafe { place.cast::<A>().as_ref() }
    }

    /// Calls `whole` for each aligned group of eight bytes of the range and `single` for each byte
    /// besides, with the place in the mapping and in the range.
    fn walk(
        &self,
        offset: usize,
        length: usize,
        mut whole: impl FnMut(&AtomicU64, usize),
        mut single: impl FnMut(&AtomicU8, usize),
    ) {
        let mut at = 0;
        while at < length {
            let place = offset + at;
            if place.is_multiple_of(8) && length - at >= 8 {
                whole(self.cell(place), at);
                at += 8;
            } else {
                single(self.cell(place), at);
                at += 1;
            }
        }
    }
}

impl SharedMem for Mapping {
    fn len(&self) -> usize {
        self.count as usize * PAGE_SIZE
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let into = std::cell::Cell::from_mut(into).as_slice_of_cells();
        self.walk(
            offset,
            into.len(),
            |word, at| {
                let bytes = word.load(Ordering::Relaxed).to_ne_bytes();
                into[at..at + 8]
                    .iter()
                    .zip(bytes)
                    .for_each(|(to, byte)| to.set(byte));
            },
            |byte, at| into[at].set(byte.load(Ordering::Relaxed)),
        );
    }

    fn write(&self, offset: usize, from: &[u8]) {
        self.walk(
            offset,
            from.len(),
            |word, at| {
                let bytes = std::array::from_fn(|index| from[at + index]);
                word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
            },
            |byte, at| byte.store(from[at], Ordering::Relaxed),
        );
    }

    fn fill(&self, offset: usize, length: usize, value: u8) {
        self.walk(
            offset,
            length,
            |word, _| word.store(u64::from_ne_bytes([value; 8]), Ordering::Relaxed),
            |byte, _| byte.store(value, Ordering::Relaxed),
        );
    }

    fn load_u32(&self, offset: usize) -> u32 {
        self.cell::<AtomicU32>(offset).load(Ordering::Acquire)
    }

    fn store_u32(&self, offset: usize, value: u32) {
        self.cell::<AtomicU32>(offset)
            .store(value, Ordering::Release);
    }

    fn load_u64(&self, offset: usize) -> u64 {
        self.cell::<AtomicU64>(offset).load(Ordering::Acquire)
    }

    fn store_u64(&self, offset: usize, value: u64) {
        self.cell::<AtomicU64>(offset)
            .store(value, Ordering::Release);
    }

    fn compare_exchange_u16(&self, offset: usize, current: u16, new: u16) -> Result<u16, u16> {
        let (both, cell) = (Ordering::AcqRel, self.cell::<AtomicU16>(offset));
        cell.compare_exchange(current, new, both, Ordering::Acquire)
    }

    fn fetch_or_u64(&self, offset: usize, mask: u64) -> u64 {
        self.cell::<AtomicU64>(offset)
            .fetch_or(mask, Ordering::AcqRel)
    }

    fn fetch_and_u64(&self, offset: usize, mask: u64) -> u64 {
        self.cell::<AtomicU64>(offset)
            .fetch_and(mask, Ordering::AcqRel)
    }
}
