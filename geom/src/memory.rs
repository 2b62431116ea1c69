//! The bytes of a request: owned, shared without copying, and never lent as a reference.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::any::Any;
use core::cell::RefCell;
use core::fmt;
use core::ops::Range;

use crate::errno::Errno;

/// Bytes that a copy between two memories moves at a time if neither knows a shorter way.
const CHUNK: usize = 512;

/// Memory that a [`Buffer`] is a part of.
///
/// Bytes are copied in and out and never borrowed, so that pages which another domain may see at
/// the same time, or even another domain's pages, can be memory too. A memory that has a shorter
/// way to some other kind finds it out with [`as_any`](Self::as_any).
///
/// A memory may put off what [`copy_from`](Self::copy_from) and [`copy_to`](Self::copy_to) ask for
/// until [`settle`](Self::settle), so that many copies cost one call of the hypervisor. Copies of
/// one memory happen in the order they were asked for. What is put off keeps the other memory
/// alive; whoever changes or shows bytes that a copy is to bring settles first.
///
/// GEOM may be locked while bytes are copied or a memory is dropped: neither may call into it.
pub trait Memory: Any {
    /// Number of bytes.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `length` bytes at `from` of `source` to the bytes at `at`, now or when settled. The
    /// caller has checked that they are inside of both.
    fn copy_from(&self, at: usize, source: &Rc<dyn Memory>, from: usize, length: usize) {
        in_chunks((&**source, from), (self, at), length);
    }

    /// Copies `length` bytes at `at` to the bytes at `to` of `target`, now or when settled. The
    /// caller has checked that they are inside of both.
    fn copy_to(&self, at: usize, target: &Rc<dyn Memory>, to: usize, length: usize) {
        in_chunks((self, at), (&**target, to), length);
    }

    /// Does the copies that were put off, and says whether every copy of this memory so far could
    /// be done: the memory of another domain may be taken away at any moment.
    ///
    /// # Errors
    /// [`Errno::Io`] if a copy could not be done; which of the bytes were copied is unknown then.
    fn settle(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Copies `from` to the bytes at `at`. The caller has checked that they are inside.
    fn copy_in(&self, at: usize, from: &[u8]);

    /// Copies the bytes at `at` to `to`. The caller has checked that they are inside.
    fn copy_out(&self, at: usize, to: &mut [u8]);

    /// For a driver that wants to know whether this is its own kind of page.
    fn as_any(&self) -> &dyn Any;
}

/// Copies `length` bytes between two memories that know no shorter way, from one place to another.
fn in_chunks<S: Memory + ?Sized, T: Memory + ?Sized>(
    (source, from): (&S, usize),
    (target, to): (&T, usize),
    length: usize,
) {
    let mut chunk = [0; CHUNK];
    for start in (0..length).step_by(CHUNK) {
        let chunk = &mut chunk[..CHUNK.min(length - start)];
        source.copy_out(from + start, chunk);
        target.copy_in(to + start, chunk);
    }
}

/// Memory on the heap.
struct Heap(RefCell<Vec<u8>>);

impl Memory for Heap {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn copy_in(&self, at: usize, from: &[u8]) {
        if let Some(bytes) = self.0.borrow_mut().get_mut(at..at + from.len()) {
            bytes.copy_from_slice(from);
        }
    }

    fn copy_out(&self, at: usize, to: &mut [u8]) {
        if let Some(bytes) = self.0.borrow().get(at..at + to.len()) {
            to.copy_from_slice(bytes);
        }
    }

    /// Straight into the bytes; not from the heap, where the source may be this very memory.
    fn copy_from(&self, at: usize, source: &Rc<dyn Memory>, from: usize, length: usize) {
        if source.as_any().is::<Self>() {
            in_chunks((&**source, from), (self, at), length);
        } else if let Some(bytes) = self.0.borrow_mut().get_mut(at..at + length) {
            source.copy_out(from, bytes);
        }
    }

    /// As [`copy_from`](Memory::copy_from).
    fn copy_to(&self, at: usize, target: &Rc<dyn Memory>, to: usize, length: usize) {
        if target.as_any().is::<Self>() {
            in_chunks((self, at), (&**target, to), length);
        } else if let Some(bytes) = self.0.borrow().get(at..at + length) {
            target.copy_in(to, bytes);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The copy would reach outside the buffer; nothing was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBuffer;

impl fmt::Display for OutOfBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the range reaches outside the buffer")
    }
}

impl core::error::Error for OutOfBuffer {}

/// A range of some [`Memory`]. Clones and parts share the bytes.
#[derive(Clone)]
pub struct Buffer {
    memory: Rc<dyn Memory>,
    start: usize,
    length: usize,
}

impl Buffer {
    /// `length` bytes of zeroed heap.
    #[must_use]
    pub fn zeroed(length: usize) -> Self {
        Self::from(vec![0; length])
    }

    /// All of `memory`.
    #[must_use]
    pub fn over(memory: Rc<dyn Memory>) -> Self {
        let length = memory.len();
        Self {
            memory,
            start: 0,
            length,
        }
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A part of this buffer, over the same bytes.
    ///
    /// # Errors
    /// [`OutOfBuffer`] if `range` is not inside.
    pub fn part(&self, range: Range<usize>) -> Result<Self, OutOfBuffer> {
        let length = range.end.checked_sub(range.start).ok_or(OutOfBuffer)?;
        if range.end > self.length {
            return Err(OutOfBuffer);
        }
        Ok(Self {
            memory: self.memory.clone(),
            start: self.start + range.start,
            length,
        })
    }

    /// Takes `length` bytes off the front, all of them if there are not so many.
    pub(crate) fn split_off_front(&mut self, length: usize) -> Self {
        let length = length.min(self.length);
        let front = Self {
            memory: self.memory.clone(),
            start: self.start,
            length,
        };
        self.start += length;
        self.length -= length;
        front
    }

    /// Copies `from` into the buffer at `at`.
    ///
    /// # Errors
    /// [`OutOfBuffer`] if it does not fit; nothing is copied then.
    pub fn write(&self, at: usize, from: &[u8]) -> Result<(), OutOfBuffer> {
        self.check(at, from.len())?;
        self.memory.copy_in(self.start + at, from);
        Ok(())
    }

    /// Copies bytes at `at` out of the buffer.
    ///
    /// # Errors
    /// [`OutOfBuffer`] if there are not so many; nothing is copied then.
    pub fn read(&self, at: usize, to: &mut [u8]) -> Result<(), OutOfBuffer> {
        self.check(at, to.len())?;
        self.memory.copy_out(self.start + at, to);
        Ok(())
    }

    /// Copies all bytes of `source` to those at `at`: now, or when [settled](Self::settle).
    ///
    /// # Errors
    /// [`OutOfBuffer`] if they do not fit; nothing is copied then.
    pub fn copy_from(&self, at: usize, source: &Self) -> Result<(), OutOfBuffer> {
        self.check(at, source.length)?;
        let at = self.start + at;
        self.memory
            .copy_from(at, &source.memory, source.start, source.length);
        Ok(())
    }

    /// Fills all of `target` with the bytes at `at`: now, or when [settled](Self::settle).
    ///
    /// # Errors
    /// [`OutOfBuffer`] if there are not so many; nothing is copied then.
    pub fn copy_to(&self, at: usize, target: &Self) -> Result<(), OutOfBuffer> {
        self.check(at, target.length)?;
        let at = self.start + at;
        self.memory
            .copy_to(at, &target.memory, target.start, target.length);
        Ok(())
    }

    /// As [`Memory::settle`].
    ///
    /// # Errors
    /// [`Errno::Io`] if a copy of the memory that this is a range of could not be done.
    pub fn settle(&self) -> Result<(), Errno> {
        self.memory.settle()
    }

    /// The bytes, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        self.memory.copy_out(self.start, &mut bytes);
        bytes
    }

    /// The bytes; without a copy where this is the only holder of a whole heap buffer.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        let whole = self.start == 0 && self.length == self.memory.len();
        let alone = Rc::strong_count(&self.memory) == 1;
        match self.memory.as_any().downcast_ref::<Heap>() {
            Some(heap) if whole && alone => heap.0.take(),
            _ => self.to_vec(),
        }
    }

    /// The memory this is a range of, and where in it the range starts: for a driver that can do
    /// better than copying.
    #[must_use]
    pub fn memory(&self) -> (&Rc<dyn Memory>, usize) {
        (&self.memory, self.start)
    }

    fn check(&self, at: usize, length: usize) -> Result<(), OutOfBuffer> {
        let end = at.checked_add(length).ok_or(OutOfBuffer)?;
        if end > self.length {
            Err(OutOfBuffer)
        } else {
            Ok(())
        }
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self::over(Rc::new(Heap(RefCell::new(bytes))))
    }
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        Self::from(bytes.to_vec())
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_copied_between_and_nothing_reaches_outside() {
        let source = Buffer::from((0..=255u8).cycle().take(2000).collect::<Vec<_>>());
        let target = Buffer::zeroed(1500);
        let part = source.part(100..1400).expect("inside");
        assert_eq!(target.copy_from(200, &part), Ok(()));
        assert_eq!(target.to_vec()[..200], [0; 200]);
        assert_eq!(target.to_vec()[200..], source.to_vec()[100..1400]);
        assert_eq!(target.copy_from(201, &part), Err(OutOfBuffer));
        let back = Buffer::zeroed(1300);
        assert_eq!(target.copy_to(200, &back), Ok(()));
        assert_eq!(back.to_vec(), part.to_vec());
        assert_eq!(target.copy_to(201, &back), Err(OutOfBuffer));
        assert_eq!(target.settle(), Ok(()));
    }

    #[test]
    fn a_buffer_is_copied_from_another_part_of_itself() {
        let buffer = Buffer::from((0..=255u8).cycle().take(2048).collect::<Vec<_>>());
        let before = buffer.to_vec();
        let front = buffer.part(0..1000).expect("inside");
        assert_eq!(buffer.copy_from(1000, &front), Ok(()));
        assert_eq!(buffer.to_vec()[1000..2000], before[..1000]);
        let end = buffer.part(2000..2048).expect("inside");
        assert_eq!(buffer.copy_to(0, &end), Ok(()));
        assert_eq!(buffer.to_vec()[2000..], before[..48]);
    }
}
