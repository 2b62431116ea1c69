//! Grants of other domains, mapped through `/dev/xen/gntdev`.
#![expect(
    unsafe_code,
    reason = "mmap, and memory that a guest writes at any time"
)]

use super::ioctl::{Call, call};
use hv::{PAGE_SIZE, SharedMem};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::io;
use std::ptr::{NonNull, null_mut};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Where grants are mapped from.
pub(super) struct Gntdev {
    device: Rc<File>,
}

impl Gntdev {
    pub(super) fn open() -> io::Result<Self> {
        let device = File::options()
            .read(true)
            .write(true)
            .open("/dev/xen/gntdev")?;
        Ok(Self {
            device: Rc::new(device),
        })
    }

    /// Maps pages that `domain` granted for reading and writing, in a row.
    pub(super) fn map(&self, domain: u32, references: &[u32]) -> io::Result<Mapping> {
        let count = u32::try_from(references.len()).map_err(io::Error::other)?;
        let mut words = vec![count, 0, 0, 0];
        words.extend(references.iter().flat_map(|reference| [domain, *reference]));
        call(&self.device, Call::MapGrants, &mut words)?;
        let index = [words[2], words[3]];
        let length = references.len() * PAGE_SIZE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let address = unsafe {
            mmap(
                null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &*self.device,
                u64::from(index[1]) << 32 | u64::from(index[0]),
            )
        };
        let address = address.map_err(io::Error::from).and_then(|address| {
            NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at 0"))
        });
        if address.is_err() {
            call(
                &self.device,
                Call::UnmapGrants,
                &mut [index[0], index[1], count, 0],
            )?;
        }
        Ok(Mapping {
            device: Rc::clone(&self.device),
            address: address?,
            index,
            count,
        })
    }
}

/// Mapped pages; dropped, they are unmapped.
#[derive(Debug)]
pub(super) struct Mapping {
    device: Rc<File>,
    address: NonNull<u8>,
    index: [u32; 2],
    count: u32,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let (address, length) = (self.address.as_ptr(), self.len());
        // SAFETY: the mapping is this one's own, and nobody has a reference into it any more.
        let unmapped = unsafe { munmap(address.cast(), length) };
        let [low, high] = self.index;
        let forgotten = call(
            &self.device,
            Call::UnmapGrants,
            &mut [low, high, self.count, 0],
        );
        if let Err(error) = unmapped.map_err(io::Error::from).and(forgotten) {
            eprintln!("backend: unmapping: {error}");
        }
    }
}

/// What is valid whatever a guest makes of its bytes meanwhile.
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
