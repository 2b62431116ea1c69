//! The ring to the daemon: moves bytes, puts messages together, matches answers with requests.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use exec::Level;
use hv::{Hypervisor, SharedMem};
use pv::Channel;
use ring::{ByteRing, ByteStream, StreamLayout};
use xen_abi::io::xs_wire::{
    CONNECTED, CONNECTION, ERROR, FEATURE_ERROR, FEATURE_RECONNECTION, PAYLOAD_MAX, RECONNECT, REQ,
    REQ_CONS, REQ_PROD, RING_SIZE, RSP, RSP_CONS, RSP_PROD, SERVER_FEATURES, kind,
};

use crate::client::{Client, Request};
use crate::either::either;
use crate::error::{ProtocolError, StoreError};
use crate::wire::{Assembler, Message, watch_event};

/// Requests without an answer at most. The daemon's own limit for a guest is 20.
pub(crate) const IN_FLIGHT: usize = 8;
/// Bytes read before other tasks get their turn.
const READ_BUDGET: usize = 4 * PAYLOAD_MAX;
/// How long the daemon may take to make a new connection.
const RECONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// New connections made in a domain's life, before the store is given up.
const RECONNECTS: u32 = 8;

/// The ring page's two streams as the domain sees them.
pub(crate) const LAYOUT: StreamLayout = StreamLayout {
    incoming: ByteRing {
        buffer: RSP,
        length: RING_SIZE as u32,
        cons: RSP_CONS,
        cons_name: "rsp_cons",
        prod: RSP_PROD,
        prod_name: "rsp_prod",
    },
    outgoing: ByteRing {
        buffer: REQ,
        length: RING_SIZE as u32,
        cons: REQ_CONS,
        cons_name: "req_cons",
        prod: REQ_PROD,
        prod_name: "req_prod",
    },
};

/// What a look at the ring brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes were moved: the daemon must be sent an event.
    pub(crate) moved: bool,
    /// There may be more to read at once.
    pub(crate) more: bool,
}

pub(crate) struct Connection<M> {
    client: Rc<Client>,
    stream: ByteStream<M>,
    incoming: Assembler,
    /// The message being sent, and how much of it has been.
    outgoing: Vec<u8>,
    sent: usize,
    in_flight: Vec<(u32, Rc<Request>)>,
    last_id: u32,
}

impl<M: SharedMem> Connection<M> {
    pub(crate) fn new(client: Rc<Client>, page: M) -> Self {
        Self {
            client,
            stream: ByteStream::attach(page, LAYOUT),
            incoming: Assembler::new(),
            outgoing: Vec::new(),
            sent: 0,
            in_flight: Vec::with_capacity(IN_FLIGHT),
            last_id: 0,
        }
    }

    /// Reads what has come and writes what there is to send and room for.
    pub(crate) fn pump(&mut self) -> Result<Progress, ProtocolError> {
        self.check_page()?;
        let read = self.receive()?;
        let written = self.send()?;
        self.client.hold.note(self.is_quiet());
        Ok(Progress {
            moved: read > 0 || written,
            more: read >= READ_BUDGET,
        })
    }

    /// Whether nothing is on its way to the daemon or back.
    fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
            && self.sent == self.outgoing.len()
            && self.stream.room() == Ok(LAYOUT.outgoing.length)
    }

    /// The domain lives anew, and so does the daemon: what the former one has said last, which may
    /// be half a message, is nothing to this one.
    fn begin_anew(&mut self) {
        self.stream.reattach();
        self.stream.skip();
        self.incoming.clear();
        self.outgoing.clear();
        self.sent = 0;
        self.client
            .begin_anew(self.in_flight.drain(..).map(|(_, request)| request));
    }

    fn check_page(&self) -> Result<(), ProtocolError> {
        let page = self.stream.memory();
        let code = page.load_u32(ERROR);
        if page.load_u32(SERVER_FEATURES) & FEATURE_ERROR != 0 && code != 0 {
            return Err(ProtocolError::Server(code));
        }
        if page.load_u32(CONNECTION) != CONNECTED {
            return Err(ProtocolError::Closed);
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<usize, ProtocolError> {
        let mut total = 0;
        let mut chunk = [0; RING_SIZE];
        while total < READ_BUDGET {
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            total += count;
            let mut bytes = chunk.get(..count).unwrap_or_default();
            while let Some(message) = self.incoming.next(&mut bytes)? {
                self.deliver(message)?;
            }
        }
        Ok(total)
    }

    fn deliver(&mut self, message: Message) -> Result<(), ProtocolError> {
        if message.kind == kind::WATCH_EVENT {
            let (path, token) = watch_event(&message.payload)?;
            self.client.event(path, token);
            return Ok(());
        }
        let Some(index) = self
            .in_flight
            .iter()
            .position(|(id, _)| *id == message.request)
        else {
            self.client.stray_answer(message.request);
            return Ok(());
        };
        let (_, request) = self.in_flight.swap_remove(index);
        let answer = match message.kind {
            kind::ERROR => {
                let name = message
                    .payload
                    .strip_suffix(b"\0")
                    .unwrap_or(&message.payload);
                Err(StoreError::from_name(name))
            }
            kind if kind == request.kind => Ok(message.payload),
            _ => Err(StoreError::BadReply),
        };
        self.client.complete(&request, answer);
        Ok(())
    }

    fn send(&mut self) -> Result<bool, ProtocolError> {
        let mut any = false;
        while self.sent < self.outgoing.len() || self.load_next() {
            let rest = self.outgoing.get(self.sent..).unwrap_or_default();
            let count = self.stream.write(rest)?;
            if count == 0 {
                break;
            }
            self.sent += count;
            any = true;
        }
        Ok(any)
    }

    /// The domain dies, and nothing else runs any more: sends as much of `last` as there is room
    /// for, behind the message that is half sent. Says how much that was. Answers are thrown away:
    /// the daemon stops where it has no room for them.
    pub(crate) fn send_last(&mut self, last: &[u8]) -> Result<usize, ProtocolError> {
        self.check_page()?;
        let mut chunk = [0; RING_SIZE];
        self.stream.read(&mut chunk)?;
        let rest = self.outgoing.get(self.sent..).unwrap_or_default();
        self.sent += self.stream.write(rest)?;
        if self.sent < self.outgoing.len() {
            return Ok(0);
        }
        Ok(self.stream.write(last)?)
    }

    /// Makes the next request the message to send.
    fn load_next(&mut self) -> bool {
        if self.in_flight.len() >= IN_FLIGHT {
            return false;
        }
        let Some(request) = self.client.next_request() else {
            return false;
        };
        let mut id = self.last_id.wrapping_add(1);
        while id == 0 || self.in_flight.iter().any(|(other, _)| *other == id) {
            id = id.wrapping_add(1);
        }
        self.last_id = id;
        let message = Message {
            kind: request.kind,
            request: id,
            transaction: request.transaction.map_or(0, |transaction| transaction.id),
            payload: request.payload.clone(),
        };
        self.outgoing = message.encode();
        self.sent = 0;
        self.in_flight.push((id, request));
        true
    }

    /// Asks the daemon for a new connection, unless it is making one already; `false` if it cannot
    /// (docs/misc/xenstore-ring.txt).
    pub(crate) fn ask_for_another(&self) -> bool {
        let page = self.stream.memory();
        if page.load_u32(SERVER_FEATURES) & FEATURE_RECONNECTION == 0 {
            return false;
        }
        // What the daemon reported of the old connection has been heard.
        page.store_u32(ERROR, 0);
        page.store_u32(CONNECTION, RECONNECT);
        true
    }

    /// Whether the new connection is there; if so, everything starts again on it.
    pub(crate) fn take_another(&mut self) -> bool {
        if self.stream.memory().load_u32(CONNECTION) != CONNECTED {
            return false;
        }
        self.stream.reattach();
        self.incoming.clear();
        self.outgoing.clear();
        self.sent = 0;
        self.client
            .reconnected(self.in_flight.drain(..).map(|(_, request)| request));
        true
    }

    /// Gives the store up.
    pub(crate) fn lose(&mut self, error: ProtocolError) {
        self.client
            .lose(error, self.in_flight.drain(..).map(|(_, request)| request));
    }
}

/// The task that serves the store: runs until the store is lost for good.
pub(crate) async fn run<H: Hypervisor>(
    connection: Rc<RefCell<Connection<H::Mapping>>>,
    channel: Rc<Channel<H>>,
    client: Rc<Client>,
) {
    let mut event = false;
    loop {
        if client.hold.take_anew() {
            connection.borrow_mut().begin_anew();
        }
        let pumped = connection.borrow_mut().pump();
        match pumped {
            Ok(progress) => {
                if progress.moved {
                    channel.notify();
                    channel.was_useful();
                } else if event {
                    channel.was_spurious();
                }
                if progress.more {
                    client.exec.yield_now().await;
                    event = false;
                    continue;
                }
                (event, _) = either(channel.wait(), client.work.notified()).await;
            }
            Err(error) => {
                client
                    .log
                    .write(Level::Error, "xenstore", format_args!("{error}"));
                if !reconnect(&connection, &channel, &client).await {
                    client
                        .log
                        .write(Level::Error, "xenstore", format_args!("lost for good"));
                    connection.borrow_mut().lose(error);
                    return;
                }
                client
                    .log
                    .write(Level::Warn, "xenstore", format_args!("connected again"));
            }
        }
    }
}

async fn reconnect<H: Hypervisor>(
    connection: &RefCell<Connection<H::Mapping>>,
    channel: &Channel<H>,
    client: &Client,
) -> bool {
    if client.usage().reconnects >= RECONNECTS || !connection.borrow().ask_for_another() {
        return false;
    }
    channel.notify();
    let another = async {
        while !connection.borrow_mut().take_another() {
            channel.wait().await;
        }
    };
    client
        .exec
        .timeout(RECONNECT_DEADLINE, another)
        .await
        .is_ok()
}
