//! The bytes of a request: owned, shared without copying, and never lent as a reference.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::any::Any;
use core::cell::RefCell;
use core::fmt;
use core::ops::Range;

/// Memory that a [`Buffer`] is a part of.
///
/// Bytes are copied in and out and never borrowed, so that pages which another domain may see at
/// the same time can be memory too. A driver that has a faster way for its own kind of page finds
/// it with [`as_any`](Self::as_any).
pub trait Memory: Any {
    /// Number of bytes.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `from` to the bytes at `at`. The caller has checked that they are inside.
    fn copy_in(&self, at: usize, from: &[u8]);

    /// Copies the bytes at `at` to `to`. The caller has checked that they are inside.
    fn copy_out(&self, at: usize, to: &mut [u8]);

    /// For a driver that wants to know whether this is its own kind of page.
    fn as_any(&self) -> &dyn Any;
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
