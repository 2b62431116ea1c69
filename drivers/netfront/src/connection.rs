//! One connection, as its device's task and its [`Link`](crate::Link) share it.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll};

use exec::{Executor, Notify};
use frontend::Late;
use hv::Hypervisor;
use pv::Scarcity;

use crate::counters::Counters;
use crate::late::Left;
use crate::misbehaviour::Misbehaviour;
use crate::queues::Queues;

/// From the publishing of the rings to their end.
pub(crate) struct Connection<H: Hypervisor> {
    exec: Executor,
    /// `None` when it has ended.
    queues: RefCell<Option<Queues<H>>>,
    late: RefCell<Option<Late<Left<H>>>>,
    carrier: Cell<bool>,
    /// For the link: the carrier came or went, or the connection ended.
    news: Notify,
    /// An event woke the link, and was not counted yet.
    rang: Cell<bool>,
    /// There is something to look at that the link's user was not told of.
    untold: Cell<bool>,
    /// The turn of the run loop that it was told something in last.
    told_in: Cell<Option<u64>>,
    fault: Cell<Option<Misbehaviour>>,
    /// For the device's task: there is a fault.
    trouble: Notify,
    counters: Cell<Counters>,
}

impl<H: Hypervisor> Connection<H> {
    pub(crate) fn new(exec: &Executor, queues: Queues<H>, late: Late<Left<H>>) -> Self {
        Self {
            exec: exec.clone(),
            queues: RefCell::new(Some(queues)),
            late: RefCell::new(Some(late)),
            carrier: Cell::new(true),
            news: Notify::new(),
            rang: Cell::new(false),
            untold: Cell::new(false),
            told_in: Cell::new(None),
            fault: Cell::new(None),
            trouble: Notify::new(),
            counters: Cell::default(),
        }
    }

    /// Has `act` use the rings. Nothing, if the connection has ended, or ends by this.
    pub(crate) fn with<T>(
        &self,
        act: impl FnOnce(&mut Queues<H>) -> Result<T, Misbehaviour>,
    ) -> Option<T> {
        if self.fault.get().is_some() {
            return None;
        }
        let acted = act(self.queues.borrow_mut().as_mut()?);
        acted.map_err(|fault| self.accuse(fault)).ok()
    }

    fn accuse(&self, fault: Misbehaviour) {
        self.fault.set(Some(fault));
        self.trouble.notify();
        self.news.notify();
    }

    /// Takes the next packet into `frame`; returns its length. If there is no room for an answer,
    /// that is dropped: what comes is not to wait for a backend that does not take what is sent.
    pub(crate) fn receive(&self, frame: &mut Vec<u8>) -> Option<usize> {
        self.with(|queues| {
            queues.turn_begins(self.exec.turns());
            // An answer is short, or cut by the stack.
            queues.has_room(true)?;
            queues.receive(frame)
        })?
    }

    /// Whether a packet can be sent.
    pub(crate) fn has_room(&self) -> bool {
        self.with(|queues| queues.has_room(false)) == Some(true)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.fault.get().is_some() || self.queues.borrow().is_none()
    }

    pub(crate) fn carrier(&self) -> bool {
        self.carrier.get()
    }

    pub(crate) fn set_carrier(&self, carrier: bool) {
        if self.carrier.replace(carrier) != carrier {
            self.news.notify();
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        match &*self.queues.borrow() {
            Some(queues) => queues.counters(),
            None => self.counters.get(),
        }
    }

    /// Waits for something that the link's user should look at. It is told so once in each turn of
    /// the run loop, whatever the backend does: others have their turn too.
    pub(crate) async fn changed(&self) {
        if self.rang.take()
            && let Some(queues) = self.queues.borrow_mut().as_mut()
        {
            queues.count_event();
        }
        let quiet_until = self.queues.borrow().as_ref().and_then(Queues::quiet_until);
        let quiet = async {
            if let Some(until) = quiet_until {
                self.exec.sleep_until(until).await;
            }
        };
        let mut quiet = pin!(quiet);
        let mut is_quiet = true;
        poll_fn(|context| {
            is_quiet = is_quiet && quiet.as_mut().poll(context).is_pending();
            if self.is_news(context, is_quiet) {
                self.untold.set(true);
            }
            if !self.untold.get() {
                return Poll::Pending;
            }
            let turn = Some(self.exec.turns());
            if self.told_in.get() == turn {
                self.exec.wake_next_turn(context.waker());
                return Poll::Pending;
            }
            self.told_in.set(turn);
            self.untold.set(false);
            Poll::Ready(())
        })
        .await;
    }

    /// Whether there is something to look at; if not, the task is woken when there is. Events of
    /// the backend's do not count while it `is_quiet`.
    fn is_news(&self, context: &mut Context<'_>, is_quiet: bool) -> bool {
        if self.news.poll_notified(context).is_ready() || self.is_gone() {
            return true;
        }
        let queues = self.queues.borrow();
        let Some(queues) = queues.as_ref() else {
            return true;
        };
        if queues.has_more() {
            return true;
        }
        let rang = !is_quiet && queues.poll_event(context);
        if rang {
            self.rang.set(true);
        }
        rang
    }

    /// For the device's task: waits until the backend does what no backend may do.
    pub(crate) async fn fault(&self) -> Misbehaviour {
        loop {
            if let Some(fault) = self.fault.get() {
                return fault;
            }
            self.trouble.notified().await;
        }
    }

    /// For the device's task: lets go of what is kept for packets to come, each time that memory is
    /// wanted for something else.
    pub(crate) async fn give_way(&self, scarcity: &Scarcity) -> Infallible {
        let mut scarcity = scarcity.watch();
        loop {
            scarcity.began().await;
            self.with(Queues::trim);
        }
    }

    /// Ends it, and lets go of everything but for the pages that the backend still maps or may
    /// still come to. Allocates nothing.
    pub(crate) fn end(&self) {
        if let Some(queues) = self.queues.borrow_mut().take() {
            self.counters.set(queues.counters());
            if let Some(late) = self.late.borrow_mut().take() {
                late.leave(Left::new(queues));
            }
        }
        self.news.notify();
    }
}
