//! A request from its maker to its end, and the future its maker waits on.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::bio::{Command, Piece, Token};
use crate::completions::Completions;
use crate::errno::Errno;
use crate::id::{ConsumerId, DiskId, RequestId};
use crate::memory::Buffer;

/// What is asked of an open provider with [`Device::submit`](crate::Device::submit).
#[derive(Clone, Debug)]
pub struct Order {
    /// What to do.
    pub command: Command,
    /// First byte, counted from the start of the provider; a multiple of its sector size. 0 for a
    /// flush.
    pub offset: u64,
    /// Number of bytes; a multiple of the sector size. 0 for a flush.
    pub length: u64,
    /// The memory of a read or a write, `length` bytes; a read that succeeds has filled all of it.
    /// Empty for the others.
    pub data: Buffer,
    /// It comes after everything that was started on this disk before, and before everything that
    /// is started later. Every flush should.
    pub ordered: bool,
}

/// A request that has passed the gate.
pub(crate) struct Request {
    pub(crate) consumer: ConsumerId,
    pub(crate) disk: DiskId,
    pub(crate) maker: Maker,
    /// Pieces with the driver.
    pub(crate) in_flight: u32,
    /// The rest of it is in the queue of its disk.
    pub(crate) waiting: bool,
    /// The first error of any piece.
    pub(crate) error: Option<Errno>,
}

impl Request {
    /// Ends it early: no further piece will be sent. The caller takes the rest off the queue.
    pub(crate) fn fail(&mut self, errno: Errno) {
        self.error.get_or_insert(errno);
        self.waiting = false;
    }

    pub(crate) fn is_over(&self) -> bool {
        !self.waiting && self.in_flight == 0
    }
}

/// What of a request was not handed to its driver yet: one remap later, in the disk's own offsets.
pub(crate) struct Rest {
    pub(crate) request: RequestId,
    pub(crate) piece: Piece,
    /// Of its provider when it was made: a media with another one is not the same media.
    pub(crate) sector_size: u32,
}

impl Rest {
    /// Takes a piece of at most `longest` bytes off the front, at whole sectors, which is not all.
    /// `None` if all of it is not more.
    pub(crate) fn cut(&mut self, longest: u64) -> Option<Piece> {
        let sector = u64::from(self.sector_size);
        let length = (longest / sector).max(1) * sector;
        if self.piece.length <= length {
            return None;
        }
        let rest = &mut self.piece;
        let data = match usize::try_from(length) {
            Ok(length) if !rest.data.is_empty() => rest.data.split_off_front(length),
            _ => rest.data.clone(),
        };
        let piece = Piece {
            command: rest.command,
            offset: rest.offset,
            length,
            data,
            ordered: rest.ordered,
        };
        rest.offset += length;
        rest.length -= length;
        Some(piece)
    }
}

/// Who is to be told of the end of a request, and how.
pub(crate) enum Maker {
    /// One that may await it.
    Ticket(Rc<Ticket>),
    /// One with many, by its tag.
    Completions(Rc<Completions>, u64),
    /// A disk that stands on the provider, with the piece that it passes on.
    Above(Token),
}

impl Maker {
    /// Notes the end. The waker, if there is one, is the caller's to wake: not under a borrow. What
    /// it puts into the inbox, the caller looks at or has looked at.
    #[inline]
    pub(crate) fn end(self, result: Result<(), Errno>) -> Option<Waker> {
        match self {
            Self::Ticket(ticket) => ticket.end(result),
            Self::Completions(completions, tag) => completions.push(tag, result),
            Self::Above(token) => {
                token.end(result);
                None
            }
        }
    }

    /// Whether it can be seen that it was told before.
    pub(crate) fn is_told(&self) -> bool {
        match self {
            Self::Ticket(ticket) => ticket.result().is_some(),
            Self::Completions(..) | Self::Above(_) => false,
        }
    }
}

/// Where a request and its maker meet.
#[derive(Default)]
pub(crate) struct Ticket(RefCell<TicketState>);

#[derive(Default)]
struct TicketState {
    result: Option<Result<(), Errno>>,
    waker: Option<Waker>,
}

impl Ticket {
    pub(crate) fn result(&self) -> Option<Result<(), Errno>> {
        self.0.borrow().result
    }

    /// As [`Maker::end`].
    fn end(&self, result: Result<(), Errno>) -> Option<Waker> {
        let mut state = self.0.borrow_mut();
        debug_assert!(state.result.is_none(), "a request ended twice");
        state.result.get_or_insert(result);
        state.waker.take()
    }

    fn wait(&self, waker: &Waker) -> Poll<Result<(), Errno>> {
        let mut state = self.0.borrow_mut();
        if let Some(result) = state.result {
            return Poll::Ready(result);
        }
        let old = state.waker.replace(waker.clone());
        drop(state);
        drop(old);
        Poll::Pending
    }
}

/// A write, delete or flush that was started. It goes on whether or not anybody waits for it;
/// dropping this is safe.
#[must_use = "the result of the request is lost"]
pub struct Io {
    pub(crate) ticket: Rc<Ticket>,
}

impl Io {
    /// The result, if it has ended.
    #[must_use]
    pub fn result(&self) -> Option<Result<(), Errno>> {
        self.ticket.result()
    }
}

impl Future for Io {
    type Output = Result<(), Errno>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.ticket.wait(context.waker())
    }
}

/// A read that was started. It goes on whether or not anybody waits for it; dropping this is safe.
#[must_use = "the bytes that are read are lost"]
pub struct ReadIo {
    pub(crate) ticket: Rc<Ticket>,
    pub(crate) data: Buffer,
}

impl Future for ReadIo {
    type Output = Result<Vec<u8>, Errno>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = self.ticket.wait(context.waker());
        result.map(|result| {
            let empty = Buffer::zeroed(0);
            result.map(|()| core::mem::replace(&mut self.data, empty).into_vec())
        })
    }
}
