//! What all requests of one client share.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::future::Future;

use exec::{Executor, Notify};
use geom::Device;

use crate::budget::{Permit, Share};
use crate::code::Code;
use crate::export::{Opened, Terms};
use crate::outgoing::{Held, Message, Outgoing};
use crate::wire::{Request, error_chunk, simple_reply};

/// A client in the transmission phase. Requests keep it, and its place at the export, until the
/// last of them has ended.
pub(crate) struct Connection {
    pub(crate) exec: Executor,
    /// Kept, as its place at the export is, until the last request has ended.
    opened: Opened,
    pub(crate) structured: bool,
    pub(crate) outgoing: Rc<Outgoing>,
    pub(crate) share: Rc<Share>,
    requests: Cell<usize>,
    request_ended: Notify,
}

impl Connection {
    pub(crate) fn new(
        exec: Executor,
        opened: Opened,
        structured: bool,
        outgoing: Rc<Outgoing>,
        share: Rc<Share>,
    ) -> Rc<Self> {
        Rc::new(Self {
            exec,
            opened,
            structured,
            outgoing,
            share,
            requests: Cell::new(0),
            request_ended: Notify::new(),
        })
    }

    pub(crate) fn device(&self) -> &Device {
        &self.opened.open.device
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.opened.terms
    }

    /// Ends when the provider is lost.
    pub(crate) async fn lost(&self) {
        self.opened.open.lost().await;
    }

    /// Has a request carried out beside the others, to its end, whatever becomes of the client.
    pub(crate) fn spawn(self: &Rc<Self>, carry_out: impl Future<Output = ()> + 'static) {
        self.requests.set(self.requests.get() + 1);
        let running = Running(self.clone());
        self.exec.spawn("nbd request", async move {
            carry_out.await;
            drop(running);
        });
    }

    /// Waits until no request is under way.
    pub(crate) async fn settled(&self) {
        while self.requests.get() > 0 {
            self.request_ended.notified().await;
        }
    }

    /// Tells the client how a request without data has ended.
    pub(crate) fn answer(&self, request: &Request, result: Result<(), Code>, permit: Permit) {
        let head = match result {
            Err(code) if self.structured => error_chunk(request.cookie, code),
            _ => simple_reply(request.cookie, result.err()),
        };
        self.send(head, Vec::new(), permit);
    }

    pub(crate) fn send(&self, head: Vec<u8>, data: Vec<u8>, permit: Permit) {
        self.outgoing.push(Message {
            head,
            data,
            held: Held::Permit { _permit: permit },
            ..Message::default()
        });
    }
}

/// A request that is under way.
struct Running(Rc<Connection>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get() - 1);
        self.0.request_ended.notify();
    }
}
