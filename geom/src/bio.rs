//! One piece of a request on its way to a driver, and the way back.
//!
//! A [`DiskBio`] is a token: the driver owns it until it completes it, and completing consumes it.
//! One that is dropped completes with [`Errno::Io`] and is counted as a bug, which
//! [`Geom::check`](crate::Geom::check) reports. Completions are only noted here;
//! the submission that is running works on them at its end, or the next
//! [`Geom::poll`](crate::Geom::poll).

use alloc::rc::Rc;
use core::fmt;

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

/// A piece of a request, owned by the driver until it is completed.
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
    /// What to do.
    pub command: Command,
    /// First byte on the disk; a multiple of its sector size. 0 for a flush.
    pub offset: u64,
    /// Number of bytes, not more than the disk's `max_io`; a multiple of its sector size. 0 for a
    /// flush.
    pub length: u64,
    /// The memory of a read or a write, `length` bytes; a read that succeeds has filled all of it.
    /// Empty for the others.
    pub data: Buffer,
    /// The request divides the stream. GEOM has already waited for everything before it, and sends
    /// nothing behind it until it is done, so a driver need do nothing; one whose device has a
    /// barrier may use it.
    pub ordered: bool,
    token: Token,
}

impl DiskBio {
    #[inline]
    pub(crate) fn new(piece: Piece, token: Token) -> Self {
        let Piece {
            command,
            offset,
            length,
            data,
            ordered,
        } = piece;
        Self {
            command,
            offset,
            length,
            data,
            ordered,
            token,
        }
    }

    /// What it asks for, and the duty to complete it.
    pub(crate) fn split(self) -> (Piece, Token) {
        let piece = Piece {
            command: self.command,
            offset: self.offset,
            length: self.length,
            data: self.data,
            ordered: self.ordered,
        };
        (piece, self.token)
    }

    #[cfg(test)]
    pub(crate) fn request(&self) -> RequestId {
        self.token.request
    }

    /// Ends the request: `Ok` means all of `length` bytes. May be called from anywhere, also inside
    /// [`Disk::strategy`](crate::disk::Disk::strategy); it never calls back and never allocates.
    pub fn complete(mut self, result: Result<(), Errno>) {
        self.token.deliver(result, false);
    }
}

impl fmt::Debug for DiskBio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}+{}", self.command, self.offset, self.length)
    }
}

/// What a [`DiskBio`] is made of, apart from its token.
pub(crate) struct Piece {
    pub(crate) command: Command,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) data: Buffer,
    pub(crate) ordered: bool,
}

/// The right, and the duty, to complete one piece.
pub(crate) struct Token {
    request: RequestId,
    /// Taken at the completion.
    inbox: Option<Rc<Inbox>>,
}

impl Token {
    #[inline]
    pub(crate) fn new(request: RequestId, inbox: &Rc<Inbox>) -> Self {
        inbox.reserve();
        Self {
            request,
            inbox: Some(inbox.clone()),
        }
    }

    /// Puts the end into the inbox; `None` if that was done before. Somebody must look there.
    #[inline]
    fn put(&mut self, result: Result<(), Errno>, dropped: bool) -> Option<Rc<Inbox>> {
        let inbox = self.inbox.take()?;
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
