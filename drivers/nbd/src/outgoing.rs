//! What is to be sent to the client, in order.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use exec::Notify;

use crate::budget::Permit;

/// What is sent in one piece, and held until it was sent.
#[derive(Default)]
pub(crate) struct Message {
    pub(crate) head: Vec<u8>,
    pub(crate) data: Vec<u8>,
    /// What comes after these bytes and before the next message, if that is not known yet.
    pub(crate) lane: Option<Lane>,
    /// What is dropped when the message was sent, or never will be.
    pub(crate) held: Held,
}

/// What waits for a message to be sent.
#[derive(Default)]
pub(crate) enum Held {
    #[default]
    Nothing,
    /// The right to its bytes is given back.
    Permit { _permit: Permit },
    /// Somebody is told.
    Receipt { _receipt: Receipt },
}

/// A queue of messages for the writing half. It belongs to one connection, or to one long read.
#[derive(Default)]
pub(crate) struct Outgoing {
    queue: RefCell<VecDeque<Message>>,
    end: Cell<End>,
    changed: Notify,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// Nothing more will come.
    Finished,
    /// What was begun cannot be completed.
    Torn,
    /// Nobody sends what is or will be put in.
    Closed,
}

/// What the writing half does next.
pub(crate) enum Next {
    Send(Message),
    Finished,
    Torn,
}

impl Outgoing {
    /// Puts a message behind the others. It is dropped if nobody sends any more.
    pub(crate) fn push(&self, message: Message) {
        if self.end.get() == End::Open {
            self.queue.borrow_mut().push_back(message);
            self.changed.notify();
        }
    }

    /// Puts a message behind the others and waits until it was sent, or never will be.
    pub(crate) async fn push_and_wait(&self, mut message: Message) {
        let sent = Rc::new(Notify::new());
        let _receipt = Receipt(sent.clone());
        message.held = Held::Receipt { _receipt };
        self.push(message);
        sent.notified().await;
    }

    /// Nothing more will be put in.
    pub(crate) fn finish(&self) {
        self.set_end(End::Finished);
    }

    /// What was sent is a part of something whose rest will never come.
    pub(crate) fn tear(&self) {
        self.set_end(End::Torn);
    }

    fn set_end(&self, end: End) {
        if self.end.get() == End::Open {
            self.end.set(end);
            self.changed.notify();
        }
    }

    /// Nothing will be sent any more; all messages are dropped.
    pub(crate) fn close(&self) {
        self.end.set(End::Closed);
        // Dropped without a borrow: each tells somebody.
        let dropped = self.queue.take();
        drop(dropped);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.end.get() == End::Closed
    }

    /// The next message: for the writing half.
    pub(crate) async fn next(&self) -> Next {
        loop {
            if let Some(message) = self.queue.borrow_mut().pop_front() {
                return Next::Send(message);
            }
            match self.end.get() {
                End::Open => self.changed.notified().await,
                End::Finished => return Next::Finished,
                End::Torn | End::Closed => return Next::Torn,
            }
        }
    }
}

/// The reading end of a queue inside of a queue; closes it when it is dropped.
pub(crate) struct Lane(pub(crate) Rc<Outgoing>);

impl Drop for Lane {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Tells somebody when it is dropped.
pub(crate) struct Receipt(Rc<Notify>);

impl Drop for Receipt {
    fn drop(&mut self) {
        self.0.notify();
    }
}
