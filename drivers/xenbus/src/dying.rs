//! What a domain that dies still writes: its peers in xenstore are told that it will not come back.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use hv::{Hypervisor, SharedMem};
use pv::Channel;
use xen_abi::io::xs_wire::kind;

use crate::connection::Connection;
use crate::error::ProtocolError;
use crate::wire::Message;

/// One write of a node, made ahead: who dies may be in want of memory.
#[derive(Debug)]
pub struct LastWrite {
    message: Vec<u8>,
    sent: Cell<usize>,
}

impl LastWrite {
    /// Prepares to write `value` to `path`.
    #[must_use]
    pub fn new(path: &str, value: &str) -> Self {
        let message = Message {
            kind: kind::WRITE,
            // Nobody looks at the answer.
            request: 0,
            transaction: 0,
            payload: [path.as_bytes(), b"\0", value.as_bytes()].concat(),
        };
        Self {
            message: message.encode(),
            sent: Cell::new(0),
        }
    }

    /// Whether some of it was sent and some was not: nothing else can be sent until it is.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        (1..self.message.len()).contains(&self.sent.get())
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.message
    }
}

type Send = dyn Fn(&[u8]) -> Option<usize>;

/// The way to the daemon past the store's task.
#[derive(Default)]
pub(crate) struct Dying {
    way: RefCell<Option<Box<Send>>>,
    /// A message is on its way in part: no other may begin.
    begun: Cell<bool>,
}

impl Dying {
    /// Says which way it is.
    pub(crate) fn enable<H: Hypervisor>(
        &self,
        connection: &Rc<RefCell<Connection<H::Mapping>>>,
        channel: &Rc<Channel<H>>,
    ) where
        H::Mapping: SharedMem,
    {
        let (connection, channel) = (Rc::downgrade(connection), Rc::downgrade(channel));
        self.way.replace(Some(Box::new(move |bytes| {
            let (connection, channel) = (connection.upgrade()?, channel.upgrade()?);
            // What dies may be the ring's own work: half a message may lie there then.
            let mut connection = connection.try_borrow_mut().ok()?;
            let sent: Result<usize, ProtocolError> = connection.send_last(bytes);
            channel.notify();
            sent.ok()
        })));
    }

    /// See [`Store::write_last`](crate::Store::write_last).
    pub(crate) fn send(&self, write: &LastWrite) -> bool {
        let sent = write.sent.get();
        let rest = write.message.get(sent..).unwrap_or_default();
        if rest.is_empty() {
            return true;
        }
        if sent == 0 && self.begun.get() {
            return false;
        }
        let way = self.way.try_borrow();
        let count = way
            .ok()
            .and_then(|way| way.as_ref().and_then(|way| way(rest)));
        // What cannot be sent now never can.
        let count = count.unwrap_or(rest.len());
        write.sent.set(sent + count);
        self.begun.set(write.is_begun());
        count >= rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_begins_within_another() {
        let room = Rc::new(Cell::new(10));
        let left = room.clone();
        let sent = Rc::new(RefCell::new(Vec::new()));
        let all = sent.clone();
        let dying = Dying::default();
        dying.way.replace(Some(Box::new(move |bytes: &[u8]| {
            let count = bytes.len().min(left.take());
            all.borrow_mut().extend_from_slice(&bytes[..count]);
            Some(count)
        })));
        let [first, second] = ["5", "6"].map(|value| LastWrite::new("state", value));
        assert!(!dying.send(&first) && first.is_begun());
        room.set(1000);
        assert!(!dying.send(&second) && !second.is_begun());
        assert_eq!(sent.borrow().len(), 10);
        for write in [&first, &second] {
            room.set(1000);
            assert!(dying.send(write) && !write.is_begun());
        }
        assert_eq!(*sent.borrow(), [first.bytes(), second.bytes()].concat());
    }
}
