//! A daemon that says exactly what a test tells it to, in bytes.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use exec::{Executor, Log};
use hv::{HeapMemory, Instant, PAGE_SIZE, SharedMem};
use ring::ByteStream;
use xen_abi::io::xs_wire::{CONNECTION, REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD, kind};

use crate::client::Client;
use crate::connection::{Connection, LAYOUT};
use crate::error::ProtocolError;
use crate::store::Store;
use crate::wire::{Assembler, Message};

/// A client with its page, and the other end of it.
pub(crate) struct Rig {
    pub(crate) exec: Executor,
    pub(crate) store: Store,
    pub(crate) page: HeapMemory,
    pub(crate) connection: Connection<HeapMemory>,
    daemon: ByteStream<HeapMemory>,
    incoming: Assembler,
    now: Instant,
}

/// Where a task's result appears.
pub(crate) type Slot<T> = Rc<RefCell<Option<T>>>;

impl Rig {
    pub(crate) fn new() -> Self {
        // The indices of a connection need not start at 0.
        Self::starting_at(u32::MAX - 50)
    }

    pub(crate) fn starting_at(index: u32) -> Self {
        let page = HeapMemory::new(PAGE_SIZE);
        for offset in [REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD] {
            page.store_u32(offset, index);
        }
        let exec = Executor::new();
        let client = Rc::new(Client::new(exec.clone(), Log::new(|| Instant(0))));
        Self {
            exec,
            store: Store::new(client.clone()),
            connection: Connection::new(client, page.clone()),
            daemon: ByteStream::attach(page.clone(), LAYOUT.other_end()),
            page,
            incoming: Assembler::new(),
            now: Instant(0),
        }
    }

    /// Starts a task; its result appears in the slot.
    pub(crate) fn start<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> Slot<T> {
        let slot = Slot::default();
        let result = slot.clone();
        self.exec.spawn("test", async move {
            let value = task.await;
            *result.borrow_mut() = Some(value);
        });
        slot
    }

    /// Lets the tasks and the client run until nothing moves.
    pub(crate) fn turn(&mut self) -> Result<(), ProtocolError> {
        loop {
            self.exec.turn(self.now);
            if !self.connection.pump()?.moved {
                return Ok(());
            }
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.turn().unwrap();
    }

    /// Everything the client has sent since the last call.
    pub(crate) fn requests(&mut self) -> Vec<Message> {
        let mut requests = Vec::new();
        let mut chunk = [0; 1024];
        loop {
            self.turn().unwrap();
            let count = self.daemon.read(&mut chunk).unwrap();
            if count == 0 {
                return requests;
            }
            let mut bytes = &chunk[..count];
            while let Some(request) = self.incoming.next(&mut bytes).unwrap() {
                requests.push(request);
            }
        }
    }

    /// The one request the client has sent.
    pub(crate) fn request(&mut self) -> Message {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, mut bytes: &[u8]) -> Result<(), ProtocolError> {
        while !bytes.is_empty() {
            let count = self.daemon.write(bytes).unwrap();
            bytes = &bytes[count..];
            self.turn()?;
        }
        Ok(())
    }

    pub(crate) fn answer(&mut self, request: &Message, payload: &[u8]) {
        let answer = Message {
            payload: payload.to_vec(),
            ..request.clone()
        };
        self.send(&answer.encode()).unwrap();
    }

    pub(crate) fn refuse(&mut self, request: &Message, error: &str) {
        let payload = format!("{error}\0").into_bytes();
        let answer = Message {
            kind: kind::ERROR,
            payload,
            ..request.clone()
        };
        self.send(&answer.encode()).unwrap();
    }

    pub(crate) fn event(&mut self, payload: &[u8]) -> Result<(), ProtocolError> {
        let (kind, payload) = (kind::WATCH_EVENT, payload.to_vec());
        self.send(
            &Message {
                kind,
                request: 0,
                transaction: 0,
                payload,
            }
            .encode(),
        )
    }

    /// What has been sent, whole messages of it, without letting the client go on.
    pub(crate) fn read_raw(&mut self) -> Vec<Message> {
        let mut chunk = [0; 1024];
        let count = self.daemon.read(&mut chunk).unwrap();
        let mut bytes = &chunk[..count];
        let mut messages = Vec::new();
        while let Some(message) = self.incoming.next(&mut bytes).unwrap() {
            messages.push(message);
        }
        messages
    }

    /// Fills the daemon's ring with bytes.
    pub(crate) fn fill_answers(&mut self) {
        while self.daemon.write(&[0; 100]).unwrap() > 0 {}
    }

    /// How much room the daemon has for its answers.
    pub(crate) fn room_for_answers(&self) -> u32 {
        let taken = self.page.load_u32(RSP_CONS);
        1024 - self.page.load_u32(RSP_PROD).wrapping_sub(taken)
    }

    /// The daemon makes a new connection: empty rings, nothing in flight.
    pub(crate) fn make_another(&mut self) {
        for offset in [REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD, CONNECTION] {
            self.page.store_u32(offset, 0);
        }
        self.daemon.reattach();
        self.incoming.clear();
        assert!(self.connection.take_another());
    }

    /// Gives the store up, as the task does when there is no other connection to be had.
    pub(crate) fn lose(&mut self, error: ProtocolError) {
        self.connection.lose(error);
        self.exec.turn(self.now);
    }
}
