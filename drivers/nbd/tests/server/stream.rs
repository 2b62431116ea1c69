//! A stream in memory: what a client has sent, what it was sent, and how much it takes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

/// Both directions.
pub(crate) struct Wire {
    pub(crate) to_server: RefCell<VecDeque<u8>>,
    /// The client will send no more.
    pub(crate) closed: Cell<bool>,
    pub(crate) to_client: RefCell<Vec<u8>>,
    /// Bytes that the client still takes.
    pub(crate) room: Cell<usize>,
    /// Writing fails.
    pub(crate) broken: Cell<bool>,
    /// The most that was asked for in one call.
    pub(crate) asked: Cell<usize>,
    /// The most that one call moves.
    pub(crate) piece: Cell<usize>,
    wakers: RefCell<Vec<Waker>>,
}

impl Wire {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            to_server: RefCell::default(),
            closed: Cell::new(false),
            to_client: RefCell::default(),
            room: Cell::new(usize::MAX),
            broken: Cell::new(false),
            asked: Cell::new(0),
            piece: Cell::new(usize::MAX),
            wakers: RefCell::default(),
        })
    }

    /// Has both halves look again.
    pub(crate) fn wake(&self) {
        self.wakers.take().into_iter().for_each(Waker::wake);
    }
}

pub(crate) struct Half(pub(crate) Rc<Wire>);

impl ErrorType for Half {
    type Error = ErrorKind;
}

impl Read for Half {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|context| {
            self.0.asked.set(self.0.asked.get().max(buffer.len()));
            let mut bytes = self.0.to_server.borrow_mut();
            let count = buffer.len().min(bytes.len()).min(self.0.piece.get());
            if count == 0 && !self.0.closed.get() {
                self.0.wakers.borrow_mut().push(context.waker().clone());
                return Poll::Pending;
            }
            for (to, from) in buffer.iter_mut().zip(bytes.drain(..count)) {
                *to = from;
            }
            Poll::Ready(Ok(count))
        })
        .await
    }
}

impl Write for Half {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|context| {
            if self.0.broken.get() {
                return Poll::Ready(Err(ErrorKind::BrokenPipe));
            }
            let room = self.0.room.get();
            let count = bytes.len().min(room).min(self.0.piece.get());
            if count == 0 {
                self.0.wakers.borrow_mut().push(context.waker().clone());
                return Poll::Pending;
            }
            self.0.room.set(room - count);
            self.0.to_client.borrow_mut().extend(&bytes[..count]);
            Poll::Ready(Ok(count))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
