//! Carrying out writes, while their payload is read.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::{Executor, Notify};
use geom::request::Io;

use crate::budget::{LEAST, PIECE, Permit, WINDOW};
use crate::carry::settle;
use crate::code::Code;
use crate::connection::Connection;
use crate::failure::Fault;
use crate::intake::Intake;
use crate::wire::Request;

/// How long a client may take for one piece of a payload.
const STALL: Duration = Duration::from_secs(120);

/// Takes a write's payload and has it written, piece by piece.
///
/// # Errors
/// The client stopped in the middle of it.
pub(crate) async fn write(
    client: &Rc<Connection>,
    order: (Request, Permit),
    durable: bool,
    intake: &Intake,
) -> Result<(), Fault> {
    let request = order.0;
    let feed = Rc::new(Feed::new(client.clone(), request.offset));
    client.spawn(carry_out(feed.clone(), order, durable));
    let feed = Source(feed);
    let mut left = request.length;
    while left > 0 {
        let length = left.min(PIECE);
        feed.0.room().await;
        if let Some(buffer) = client.share.memory().zeroed(length) {
            let bytes = payload(&client.exec, intake, buffer).await?;
            feed.0.put(bytes);
        } else {
            feed.0.fail(Code::NoMemory);
            skip(&client.exec, intake, length).await?;
        }
        left -= length;
    }
    Ok(())
}

/// Takes a payload that is not wanted.
///
/// # Errors
/// The client stopped in the middle of it.
pub(crate) async fn skip(exec: &Executor, intake: &Intake, length: u32) -> Result<(), Fault> {
    let mut left = length;
    let mut scratch = Vec::new();
    while left > 0 {
        let piece = left.min(LEAST);
        scratch.resize(piece as usize, 0);
        scratch = payload(exec, intake, scratch).await?;
        left -= piece;
    }
    Ok(())
}

async fn payload(exec: &Executor, intake: &Intake, buffer: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let bytes = exec.timeout(STALL, intake.exact(buffer)).await;
    bytes.map_err(|_| Fault::Late)
}

/// Waits for all pieces of a write, and answers it.
async fn carry_out(feed: Rc<Feed>, (request, permit): (Request, Permit), durable: bool) {
    let client = &feed.client;
    feed.drained().await;
    // Of a write that was cut off, nobody will hear.
    let durable = durable && !client.outgoing.is_closed();
    let result = settle(client.device(), feed.result.get(), durable).await;
    client.answer(&request, result, permit);
}

/// A write whose pieces come and go.
struct Feed {
    client: Rc<Connection>,
    /// Where the next piece goes.
    at: Cell<u64>,
    /// Pieces that GEOM has, the oldest first.
    flights: RefCell<VecDeque<Io>>,
    /// Pieces that may be begun; each is under way from when its payload is waited for.
    room: Cell<u32>,
    /// The first error.
    result: Cell<Result<(), Code>>,
    /// No further piece will come.
    complete: Cell<bool>,
    put: Notify,
    ended: Notify,
}

impl Feed {
    fn new(client: Rc<Connection>, at: u64) -> Self {
        Self {
            client,
            at: Cell::new(at),
            flights: RefCell::default(),
            room: Cell::new(WINDOW / PIECE),
            result: Cell::new(Ok(())),
            complete: Cell::new(false),
            put: Notify::new(),
            ended: Notify::new(),
        }
    }

    /// Waits until one more piece may be begun.
    async fn room(&self) {
        while self.room.get() == 0 {
            self.ended.notified().await;
        }
        self.room.set(self.room.get() - 1);
    }

    /// Has the next piece written; after an error it is thrown away.
    fn put(&self, bytes: Vec<u8>) {
        let at = self.at.get();
        self.at.set(at.saturating_add(bytes.len() as u64));
        if self.result.get().is_err() {
            return self.one_ended();
        }
        let flight = self.client.device().write(at, bytes);
        self.flights.borrow_mut().push_back(flight);
        self.put.notify();
    }

    /// Has nothing more written.
    fn fail(&self, code: Code) {
        self.result.set(self.result.get().and(Err(code)));
        self.one_ended();
    }

    fn one_ended(&self) {
        self.room.set(self.room.get() + 1);
        self.ended.notify();
    }

    /// Waits until the last piece has come and all have ended.
    async fn drained(&self) {
        loop {
            let flight = self.flights.borrow_mut().pop_front();
            if let Some(flight) = flight {
                let result = flight.await;
                let result = result.map_err(Code::from);
                self.result.set(self.result.get().and(result));
                self.one_ended();
            } else if self.complete.get() {
                return;
            } else {
                self.put.notified().await;
            }
        }
    }
}

/// The end that the payload comes from. No piece comes once it is dropped: at the end of the
/// payload, or because the client has left in the middle.
struct Source(Rc<Feed>);

impl Drop for Source {
    fn drop(&mut self) {
        self.0.complete.set(true);
        self.0.put.notify();
    }
}
