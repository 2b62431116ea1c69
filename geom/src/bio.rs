//! One piece of a request on its way to a driver, and the way back.
//!
//! A [`DiskBio`] is a token: the driver owns it until it completes it, and completing consumes it.
//! One that is dropped completes with [`Errno::Io`] and is counted as a bug, which
//! [`Geom::check`](crate::Geom::check) reports. Completions are only noted here;
//! the submission that is running works on them at its end, or the next
//! [`Geom::poll`](crate::Geom::poll).

use alloc::rc::Rc;
use core::cell::Cell;
use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::errno::Errno;
use crate::id::RequestId;
use crate::inbox::{Completion, Inbox};
use crate::memory::Buffer;

/// What is asked of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Media to memory.
    Read,
    /// Memory to media.
    Write,
    /// The range's content is not needed any more: a hint.
    Delete,
    /// The range's content must be beyond recovery when this completes.
    Erase,
    /// What was written before is on stable media when this completes.
    Flush,
}

impl Command {
    /// Whether it needs the device to be open for writing.
    #[must_use]
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// What is asked of a driver: a request, or a piece of one.
#[derive(Debug)]
pub struct Piece {
    /// What to do.
    pub command: Command,
    /// First byte on the disk; a multiple of its sector size. 0 for a flush.
    pub offset: u64,
    /// Number of bytes, not more than the disk's `max_io`, or `max_delete` where it has one; a
    /// multiple of its sector size. 0 for a flush.
    pub length: u64,
    /// The memory of a read or a write, `length` bytes; a read that succeeds has filled all of it.
    /// Empty for the others.
    pub data: Buffer,
    /// The request divides the stream. GEOM has already waited for everything before it, and sends
    /// nothing behind it until it is done, so a driver need do nothing; one whose device has a
    /// barrier may use it.
    pub ordered: bool,
}

/// A [`Piece`], owned by the driver until it is completed.
///
/// Completing one twice does not compile:
///
/// ```compile_fail,E0382
/// fn twice(bio: geom::disk::DiskBio) {
///     bio.complete(Ok(()));
///     bio.complete(Ok(()));
/// }
/// ```
#[must_use = "a bio that is dropped completes with EIO and is counted as a bug"]
pub struct DiskBio {
    piece: Piece,
    token: Token,
}

impl DiskBio {
    #[inline]
    pub(crate) fn new(piece: Piece, token: Token) -> Self {
        Self { piece, token }
    }

    /// What it asks for, and the duty to complete it.
    pub(crate) fn split(self) -> (Piece, Token) {
        (self.piece, self.token)
    }

    #[cfg(test)]
    pub(crate) fn request(&self) -> RequestId {
        self.token.request
    }

    /// Cuts the first `length` bytes off: they are a request of their own, and this is the rest.
    /// For a driver whose device turns out to take less than its `max_io`. Each part is to be
    /// completed; for GEOM the whole ends once, after the last of them, with the first error of
    /// any.
    ///
    /// `length` is a multiple of the disk's sector size. `None` if it leaves nothing on either
    /// side.
    pub fn cut(&mut self, length: u64) -> Option<Self> {
        let at = usize::try_from(length).ok()?;
        if length == 0 || length >= self.length {
            return None;
        }
        let (front, rest) = if self.data.is_empty() {
            (self.data.clone(), self.data.clone())
        } else {
            let front = self.data.part(0..at).ok()?;
            (front, self.data.part(at..self.data.len()).ok()?)
        };
        let front = Piece {
            length,
            data: front,
            ..self.piece
        };
        self.offset += length;
        self.length -= length;
        self.data = rest;
        Some(Self::new(front, self.token.share()))
    }

    /// Ends the request: `Ok` means all of `length` bytes. May be called from anywhere, also inside
    /// [`Disk::strategy`](crate::disk::Disk::strategy); it never calls back and never allocates.
    #[inline]
    pub fn complete(mut self, result: Result<(), Errno>) {
        self.token.deliver(result, false);
    }
}

/// What it asks for.
impl Deref for DiskBio {
    type Target = Piece;

    #[inline]
    fn deref(&self) -> &Piece {
        &self.piece
    }
}

/// A driver may narrow it, say to what its device can delete.
impl DerefMut for DiskBio {
    #[inline]
    fn deref_mut(&mut self) -> &mut Piece {
        &mut self.piece
    }
}

impl fmt::Debug for DiskBio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}+{}", self.command, self.offset, self.length)
    }
}

/// The right, and the duty, to complete one piece, or one part of it.
pub(crate) struct Token {
    request: RequestId,
    /// Taken at the completion.
    inbox: Option<Rc<Inbox>>,
    /// There once the driver has cut the piece.
    parts: Option<Rc<Parts>>,
}

/// What is known of a piece that its driver has cut.
struct Parts {
    outstanding: Cell<usize>,
    result: Cell<Result<(), Errno>>,
    dropped: Cell<bool>,
}

impl Parts {
    /// Notes the end of a part; says how the piece ended if it was the last.
    fn end(&self, result: Result<(), Errno>, dropped: bool) -> Option<(Result<(), Errno>, bool)> {
        self.outstanding.set(self.outstanding.get() - 1);
        self.result.set(self.result.get().and(result));
        self.dropped.set(self.dropped.get() || dropped);
        (self.outstanding.get() == 0).then(|| (self.result.get(), self.dropped.get()))
    }
}

impl Token {
    #[inline]
    pub(crate) fn new(request: RequestId, inbox: &Rc<Inbox>) -> Self {
        inbox.reserve();
        Self {
            request,
            inbox: Some(inbox.clone()),
            parts: None,
        }
    }

    /// A token for one more part of the same piece.
    fn share(&mut self) -> Self {
        let parts = self.parts.get_or_insert_with(|| {
            Rc::new(Parts {
                outstanding: Cell::new(1),
                result: Cell::new(Ok(())),
                dropped: Cell::new(false),
            })
        });
        parts.outstanding.set(parts.outstanding.get() + 1);
        Self {
            request: self.request,
            inbox: self.inbox.clone(),
            parts: Some(parts.clone()),
        }
    }

    /// Puts the end of the piece into the inbox, where somebody must look then; `None` if that was
    /// done before, or other parts are still out.
    #[inline]
    fn put(&mut self, result: Result<(), Errno>, dropped: bool) -> Option<Rc<Inbox>> {
        let inbox = self.inbox.take()?;
        let (result, dropped) = match &self.parts {
            None => (result, dropped),
            Some(parts) => parts.end(result, dropped)?,
        };
        inbox.push(Completion {
            request: self.request,
            result,
            dropped,
        });
        Some(inbox)
    }

    /// Ends the piece, and asks for somebody to look at it.
    #[inline]
    fn deliver(&mut self, result: Result<(), Errno>, dropped: bool) {
        if let Some(inbox) = self.put(result, dropped) {
            inbox.ring_from_driver();
        }
    }

    #[cold]
    fn lose(&mut self) {
        self.deliver(Err(Errno::Io), true);
    }

    /// Ends the piece; whoever calls this looks into the inbox afterwards, or asks for it.
    pub(crate) fn end(mut self, result: Result<(), Errno>) {
        let _inbox = self.put(result, false);
    }
}

impl Drop for Token {
    #[inline]
    fn drop(&mut self) {
        if self.inbox.is_some() {
            self.lose();
        }
    }
}
