//! A stream in memory, and a clock that a test moves.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use http::{End, Request, Response};

/// What a test sees of a connection.
#[derive(Default)]
pub(crate) struct Wire {
    /// Pieces that the client sent; each is one read at most.
    pub(crate) sent: RefCell<VecDeque<Vec<u8>>>,
    /// The client sends no more.
    pub(crate) ended: Cell<bool>,
    /// What the client got.
    pub(crate) got: RefCell<Vec<u8>>,
    /// How much the client takes.
    pub(crate) room: Cell<usize>,
    /// Writing takes nothing, without an error.
    pub(crate) dead: Cell<bool>,
    /// Nobody may stay.
    pub(crate) crowded: Cell<bool>,
    /// The time.
    pub(crate) now: Cell<Duration>,
}

/// The server's end.
pub(crate) struct Stream(Rc<Wire>);

#[derive(Debug)]
pub(crate) struct Broken(Infallible);

impl fmt::Display for Broken {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl std::error::Error for Broken {}

impl embedded_io_async::Error for Broken {
    fn kind(&self) -> ErrorKind {
        match self.0 {}
    }
}

impl ErrorType for Stream {
    type Error = Broken;
}

impl Read for Stream {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Broken> {
        poll_fn(|_| {
            let mut sent = self.0.sent.borrow_mut();
            let Some(mut piece) = sent.pop_front() else {
                return if self.0.ended.get() {
                    Poll::Ready(Ok(0))
                } else {
                    Poll::Pending
                };
            };
            let rest = piece.split_off(piece.len().min(into.len()));
            into[..piece.len()].copy_from_slice(&piece);
            if !rest.is_empty() {
                sent.push_front(rest);
            }
            Poll::Ready(Ok(piece.len()))
        })
        .await
    }
}

impl Write for Stream {
    async fn write(&mut self, from: &[u8]) -> Result<usize, Broken> {
        poll_fn(|_| {
            if self.0.dead.get() {
                return Poll::Ready(Ok(0));
            }
            let length = from.len().min(self.0.room.get());
            if length == 0 {
                return Poll::Pending;
            }
            self.0.room.set(self.0.room.get() - length);
            self.0.got.borrow_mut().extend_from_slice(&from[..length]);
            Poll::Ready(Ok(length))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        Ok(())
    }
}

impl Wire {
    /// A client that takes everything and has sent `pieces`.
    pub(crate) fn new(pieces: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Rc<Self> {
        let wire = Self::default();
        wire.room.set(usize::MAX);
        wire.sent
            .borrow_mut()
            .extend(pieces.into_iter().map(Into::into));
        Rc::new(wire)
    }

    /// What the client got so far, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.got.borrow()).into_owned()
    }

    /// Serves until the connection ends; `step` is called whenever the server waits.
    pub(crate) fn serve(
        self: &Rc<Self>,
        answer: impl AsyncFn(Request) -> Response,
        mut step: impl FnMut(&Self),
    ) -> End {
        let sleep = |time: Duration| {
            let (clock, at) = (self.clone(), self.now.get() + time);
            poll_fn(move |_| {
                if clock.now.get() >= at {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
        };
        let mut stream = Stream(self.clone());
        let stays = || !self.crowded.get();
        let mut serving = pin!(http::serve(&mut stream, &sleep, &answer, &stays));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..100_000 {
            if let Poll::Ready(end) = serving.as_mut().poll(&mut context) {
                return end;
            }
            step(self);
        }
        panic!("it waits for ever: {}", self.text());
    }
}

/// Answers with what was asked.
pub(crate) async fn echo(request: Request) -> Response {
    let (head, body) = (
        request.head,
        String::from_utf8_lossy(&request.body).into_owned(),
    );
    let text = format!(
        "{:?} {} {} {body}",
        head.method(),
        head.path(),
        head.query()
    );
    Response::ok("text/plain", text.into_bytes())
}

/// All answers to `text`, sent in one piece by a client that then ends.
pub(crate) fn answers(text: &str) -> String {
    let wire = Wire::new([text]);
    wire.ended.set(true);
    wire.serve(echo, |_| panic!("it waits"));
    wire.text()
}

/// The status of the answer to `text`, which is to be the last.
pub(crate) fn status(text: impl AsRef<[u8]>) -> String {
    let wire = Wire::new([text.as_ref()]);
    wire.ended.set(true);
    wire.serve(echo, |_| panic!("it waits"));
    let got = wire.text();
    let line = got.split("\r\n").next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.1 ").unwrap_or(line);
    assert_eq!(got.matches("HTTP/1.1 ").count(), 1, "{got}");
    let refused = !status.starts_with("200");
    assert_eq!(refused, got.contains("\r\nConnection: close\r\n"), "{got}");
    status.split(' ').next().unwrap_or_default().into()
}
