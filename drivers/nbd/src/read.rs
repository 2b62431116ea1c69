//! Carrying out reads.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;

use geom::Buffer;
use geom::request::Io;

use crate::budget::{PIECE, Permit, WINDOW};
use crate::code::Code;
use crate::connection::Connection;
use crate::outgoing::{Lane, Message, Outgoing};
use crate::wire::{Request, data_chunk, error_chunk, none_chunk, simple_reply};

/// Carries a read out. The bytes under way are at most those that the permit is for: a longer read
/// goes in pieces, and the next is read while one is sent.
pub(crate) async fn read(client: Rc<Connection>, order: (Request, Permit), whole: bool) {
    let (request, permit) = order;
    let longest = if whole { WINDOW } else { PIECE };
    if request.length <= longest {
        at_once(&client, request, permit).await;
    } else if !client.structured {
        in_a_lane(&client, request, permit).await;
    } else if whole {
        client.answer(&request, Err(Code::Overflow), permit);
    } else {
        in_chunks(&client, request, permit).await;
    }
}

/// All of it in one answer.
async fn at_once(client: &Connection, request: Request, permit: Permit) {
    let Request {
        cookie,
        offset,
        length,
        ..
    } = request;
    if length == 0 {
        let head = match client.structured {
            true => none_chunk(cookie),
            false => simple_reply(cookie, None),
        };
        return client.send(head, Vec::new(), permit);
    }
    match Piece::begin(client, offset, length).end().await {
        Ok(bytes) => {
            let head = match client.structured {
                true => data_chunk(cookie, offset, length, true),
                false => simple_reply(cookie, None),
            };
            client.send(head, bytes, permit);
        }
        Err(code) => client.answer(&request, Err(code), permit),
    }
}

/// A structured reply: each piece is a chunk, and others' answers may come in between.
async fn in_chunks(client: &Connection, request: Request, permit: Permit) {
    let mut pieces = Pieces::new(client, &request);
    let mut head = Vec::new();
    while let Some((at, result)) = pieces.next().await {
        if client.outgoing.is_closed() {
            return;
        }
        let data = match result {
            Ok(data) => data,
            Err(code) => {
                head = error_chunk(request.cookie, code);
                break;
            }
        };
        let length = u32::try_from(data.len()).unwrap_or(0);
        head = data_chunk(request.cookie, at, length, pieces.is_last());
        let message = Message {
            head: core::mem::take(&mut head),
            data,
            ..Message::default()
        };
        client.outgoing.push_and_wait(message).await;
    }
    if !head.is_empty() {
        client.send(head, Vec::new(), permit);
    }
}

/// A simple reply: nothing may come between its pieces, and once the first is sent there is no word
/// for an error but to hang up.
async fn in_a_lane(client: &Connection, request: Request, permit: Permit) {
    let mut pieces = Pieces::new(client, &request);
    let lane = Rc::new(Outgoing::default());
    let mut begun = false;
    while let Some((_, result)) = pieces.next().await {
        let data = match result {
            Ok(data) => data,
            Err(_) if begun => return lane.tear(),
            Err(code) => return client.answer(&request, Err(code), permit),
        };
        if !begun {
            client.outgoing.push(Message {
                head: simple_reply(request.cookie, None),
                lane: Some(Lane(lane.clone())),
                ..Message::default()
            });
            begun = true;
        }
        let message = Message {
            data,
            ..Message::default()
        };
        lane.push_and_wait(message).await;
        if lane.is_closed() {
            return;
        }
    }
    lane.finish();
}

/// The pieces of a long read, in order; one is ahead.
struct Pieces<'client> {
    client: &'client Connection,
    next: u64,
    end: u64,
    ahead: VecDeque<(u64, Piece)>,
}

impl<'client> Pieces<'client> {
    fn new(client: &'client Connection, request: &Request) -> Self {
        Self {
            client,
            next: request.offset,
            end: request.offset.saturating_add(request.length.into()),
            ahead: VecDeque::with_capacity(2),
        }
    }

    /// The next piece and where it is; `None` after the last. Whoever takes one lets go of it
    /// before asking for the next.
    async fn next(&mut self) -> Option<(u64, Result<Vec<u8>, Code>)> {
        while self.ahead.len() < 2 && self.next < self.end {
            let length = u32::try_from(self.end - self.next)
                .unwrap_or(PIECE)
                .min(PIECE);
            let piece = Piece::begin(self.client, self.next, length);
            self.ahead.push_back((self.next, piece));
            self.next += u64::from(length);
        }
        let (at, piece) = self.ahead.pop_front()?;
        Some((at, piece.end().await))
    }

    /// Whether the piece that was taken was the last.
    fn is_last(&self) -> bool {
        self.ahead.is_empty() && self.next >= self.end
    }
}

/// A read that GEOM has, and its memory; `None` if there was none.
struct Piece(Option<(Io, Buffer)>);

impl Piece {
    fn begin(client: &Connection, at: u64, length: u32) -> Self {
        Self(client.share.memory().zeroed(length).map(|bytes| {
            let data = Buffer::from(bytes);
            (client.device().read_into(at, data.clone()), data)
        }))
    }

    async fn end(self) -> Result<Vec<u8>, Code> {
        let (io, data) = self.0.ok_or(Code::NoMemory)?;
        io.await?;
        Ok(data.into_vec())
    }
}
