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

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.message
    }
}

type Send = dyn Fn(&[u8]) -> Option<usize>;

/// The way to the daemon past the store's task.
#[derive(Default)]
pub(crate) struct Dying(RefCell<Option<Box<Send>>>);

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
        self.0.replace(Some(Box::new(move |bytes| {
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
        let way = self.0.try_borrow();
        let count = way
            .ok()
            .and_then(|way| way.as_ref().and_then(|way| way(rest)));
        // What cannot be sent now never can.
        let count = count.unwrap_or(rest.len());
        write.sent.set(sent + count);
        count >= rest.len()
    }
}
