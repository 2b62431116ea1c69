//! One guest's connection: its ring, its transactions, what is still to be sent to it.

use std::collections::{BTreeMap, VecDeque};

use hv::{DomId, Port};
use ring::{ByteStream, PeerFault};

use super::transaction::Transaction;
use super::wire::{LAYOUT, Message};
use crate::{Memory, Xen};

/// Replies and events that may wait for room before the connection's requests are left alone.
const BACKLOG: usize = 64 * 1024;

pub(crate) struct Connection {
    pub(crate) dom: DomId,
    /// The daemon's end of the event channel.
    port: Port,
    stream: ByteStream<Memory>,
    received: Vec<u8>,
    to_send: VecDeque<u8>,
    pub(crate) transactions: BTreeMap<u32, Transaction>,
    pub(crate) last_transaction: u32,
    /// The guest broke the protocol: nothing more is read from it.
    pub(crate) broken: bool,
}

impl Connection {
    pub(crate) fn open(dom: DomId, page: Memory, port: Port) -> Self {
        Self {
            dom,
            port,
            stream: ByteStream::attach(page, LAYOUT),
            received: Vec::new(),
            to_send: VecDeque::new(),
            transactions: BTreeMap::new(),
            last_transaction: 0,
            broken: false,
        }
    }

    pub(crate) fn port(&self) -> Port {
        self.port
    }

    /// Queues a message; it goes out as the guest makes room.
    pub(crate) fn send(&mut self, message: &Message) {
        self.to_send.extend(message.encode());
    }

    /// Queues bytes that need be no message.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.to_send.extend(bytes);
    }

    /// Takes the guest's next request, if a whole one has come.
    pub(crate) fn next_request(&mut self, xen: &Xen) -> Option<Message> {
        if self.broken || self.to_send.len() > BACKLOG {
            return None;
        }
        let mut bytes = [0; 1024];
        let count = self.checked(|stream| stream.read(&mut bytes))?;
        if count != 0 {
            self.notify(xen);
        }
        self.received.extend(&bytes[..count]);
        match Message::take(&mut self.received) {
            Ok(message) => message,
            Err(_) => {
                self.broken = true;
                None
            }
        }
    }

    /// Writes what there is room for.
    pub(crate) fn flush(&mut self, xen: &Xen) {
        let mut sent = 0;
        loop {
            let bytes = self.to_send.make_contiguous();
            if bytes.is_empty() {
                break;
            }
            let chunk = bytes.to_vec();
            let Some(count) = self.checked(|stream| stream.write(&chunk)) else {
                return;
            };
            if count == 0 {
                break;
            }
            self.to_send.drain(..count);
            sent += count;
        }
        if sent != 0 {
            self.notify(xen);
        }
    }

    fn checked<T>(
        &mut self,
        use_stream: impl FnOnce(&mut ByteStream<Memory>) -> Result<T, PeerFault>,
    ) -> Option<T> {
        match use_stream(&mut self.stream) {
            Ok(value) => Some(value),
            Err(_) => {
                self.broken = true;
                None
            }
        }
    }

    fn notify(&self, xen: &Xen) {
        // The guest may have closed its end: then nobody is there to be told.
        let _ = xen.evtchn_send(DomId(0), self.port);
    }
}
