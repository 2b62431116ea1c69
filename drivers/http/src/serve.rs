//! One connection, to its end.
//!
//! Only what touches the stream is generic; everything else is decided by plain functions.

use core::future::Future;
use core::pin::pin;
use core::time::Duration;

use embedded_io_async::{Read, Write};
use futures_util::StreamExt;
use futures_util::future::{Either, select};

use crate::head::Method;
use crate::incoming::{Incoming, Request};
use crate::limits;
use crate::refusal::Refusal;
use crate::response::{Body, Response, chunk};
use crate::status::Status;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Either side had no more to say.
    Closed,
    /// After a request that could not be taken; the client was told.
    Refused(Refusal),
    /// The stream failed, or the client did not take its answer in time.
    Broken,
}

/// Tells a client that waits for it that its body is wanted.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Bytes read at once.
const READ: usize = 1024;

/// Answers the requests of `stream` by `answer`, one after the other, until its end. The caller
/// closes the stream. `sleep` makes a future that is ready after that time; with it, no client can
/// keep this waiting: [`limits`] says how long each step may take. An answer takes as long as
/// `answer` does. After each, `stays` says whether the client may stay for another.
pub async fn serve<S, Z>(
    stream: &mut S,
    sleep: &impl Fn(Duration) -> Z,
    answer: &impl AsyncFn(Request) -> Response,
    stays: &impl Fn() -> bool,
) -> End
where
    S: Read + Write,
    Z: Future<Output = ()>,
{
    let mut incoming = Incoming::new();
    loop {
        let request = match receive(stream, &mut incoming, sleep).await {
            Ok(Some(request)) => request,
            Ok(None) => return End::Closed,
            Err(refusal) => {
                let response = Response::from(refusal);
                if send(stream, sleep, response, Manner::LAST).await.is_none() {
                    return End::Broken;
                }
                linger(stream, sleep).await;
                return End::Refused(refusal);
            }
        };
        let mut manner = Manner::of(&request);
        let response = answer(request).await;
        manner.last |= !stays();
        if send(stream, sleep, response, manner).await.is_none() {
            return End::Broken;
        }
        if manner.last {
            return End::Closed;
        }
    }
}

/// How a request wants its answer.
#[derive(Clone, Copy)]
struct Manner {
    is_1_1: bool,
    last: bool,
    head_only: bool,
}

impl Manner {
    const LAST: Self = Self {
        is_1_1: true,
        last: true,
        head_only: false,
    };

    fn of(request: &Request) -> Self {
        let is_1_1 = request.head.is_1_1();
        Self {
            is_1_1,
            last: !is_1_1 || request.head.lists("connection", "close"),
            head_only: request.head.method() == Method::Head,
        }
    }
}

/// The next request; `None` when there is no more.
async fn receive<S: Read + Write, Z: Future<Output = ()>>(
    stream: &mut S,
    incoming: &mut Incoming,
    sleep: &impl Fn(Duration) -> Z,
) -> Result<Option<Request>, Refusal> {
    if !incoming.is_begun() {
        match read(stream, incoming, pin!(sleep(limits::IDLE))).await {
            Came::Bytes => {}
            Came::Nothing | Came::End => return Ok(None),
        }
    }
    let mut deadline = pin!(sleep(limits::ARRIVAL));
    loop {
        if let Some(request) = incoming.take_request()? {
            return Ok(Some(request));
        }
        // Once: whatever comes next is of the body.
        if incoming.waits_for_continue() && write(stream, sleep, CONTINUE).await.is_none() {
            return Ok(None);
        }
        match read(stream, incoming, deadline.as_mut()).await {
            Came::Bytes => {}
            Came::End => return Ok(None),
            Came::Nothing => {
                let status = Status::RequestTimeout;
                return Err(Refusal::with(status, "the request took too long"));
            }
        }
    }
}

enum Came {
    Bytes,
    /// In time.
    Nothing,
    End,
}

async fn read<S: Read>(
    stream: &mut S,
    incoming: &mut Incoming,
    deadline: impl Future<Output = ()> + Unpin,
) -> Came {
    let mut piece = [0; READ];
    let came = match select(pin!(stream.read(&mut piece)), deadline).await {
        Either::Left((came, _)) => came,
        Either::Right(_) => return Came::Nothing,
    };
    match came.ok().and_then(|length| piece.get(..length)) {
        Some(bytes @ [_, ..]) => {
            incoming.push(bytes);
            Came::Bytes
        }
        _ => Came::End,
    }
}

/// Sends an answer; `None` if that failed.
async fn send<S: Write, Z: Future<Output = ()>>(
    stream: &mut S,
    sleep: &impl Fn(Duration) -> Z,
    response: Response,
    manner: Manner,
) -> Option<()> {
    let head = response.render(manner.is_1_1, manner.last);
    write(stream, sleep, head.as_bytes()).await?;
    match response.body {
        _ if manner.head_only => {}
        Body::Whole(bytes) => {
            let deadline = pin!(sleep(limits::whole_departure(bytes.len())));
            match select(pin!(write(stream, sleep, &bytes)), deadline).await {
                Either::Left((done, _)) => done?,
                Either::Right(_) => return None,
            }
        }
        Body::Chunks(mut chunks) => {
            while let Some(bytes) = chunks.next().await {
                if !manner.is_1_1 {
                    write(stream, sleep, &bytes).await?;
                } else if !bytes.is_empty() {
                    write(stream, sleep, &chunk(&bytes)).await?;
                }
            }
            if manner.is_1_1 {
                write(stream, sleep, &chunk(b"")).await?;
            }
        }
    }
    Some(())
}

/// Writes all of `bytes`, each [`limits::PIECE`] in its time.
async fn write<S: Write, Z: Future<Output = ()>>(
    stream: &mut S,
    sleep: &impl Fn(Duration) -> Z,
    bytes: &[u8],
) -> Option<()> {
    for mut piece in bytes.chunks(limits::PIECE) {
        let writing = pin!(async {
            while !piece.is_empty() {
                let length = stream.write(piece).await.ok().filter(|n| *n > 0)?;
                piece = piece.get(length..)?;
            }
            stream.flush().await.ok()
        });
        match select(writing, pin!(sleep(limits::DEPARTURE))).await {
            Either::Left((done, _)) => done?,
            Either::Right(_) => return None,
        }
    }
    Some(())
}

/// Reads what the client still sends, for a while: bytes that nobody reads may reset a connection,
/// and the answer on its way with it.
async fn linger<S: Read, Z: Future<Output = ()>>(stream: &mut S, sleep: &impl Fn(Duration) -> Z) {
    let reading = pin!(async {
        let mut piece = [0; READ];
        let mut rest = limits::LINGER;
        while let Ok(length @ 1..) = stream.read(&mut piece).await {
            rest = rest.saturating_sub(length);
            if rest == 0 {
                break;
            }
        }
    });
    select(reading, pin!(sleep(limits::LINGER_FOR))).await;
}
