//! A driver that does as the test says, and notes what it is asked.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use frontend::{Doing, Driver, Drivers, Failure, Published};
use xenbus::Frontend;
use xenbus::state::XenbusState;

/// What the test sees and sets.
pub(crate) struct Knobs {
    pub(crate) calls: RefCell<Vec<String>>,
    pub(crate) publishes_connected: Cell<bool>,
    pub(crate) puts_off: Cell<bool>,
    pub(crate) goes_live: Cell<bool>,
    pub(crate) is_open: Cell<bool>,
    pub(crate) outstanding: Cell<bool>,
    pub(crate) rereads: Cell<u32>,
    /// Drivers that there are.
    pub(crate) drivers: Cell<u32>,
    fails: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Knobs {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            calls: RefCell::default(),
            publishes_connected: Cell::new(false),
            puts_off: Cell::new(false),
            goes_live: Cell::new(true),
            is_open: Cell::new(true),
            outstanding: Cell::new(false),
            rereads: Cell::new(0),
            drivers: Cell::new(0),
            fails: Cell::new(false),
            waker: RefCell::default(),
        })
    }

    /// The backend does what no backend may do.
    pub(crate) fn fail(&self) {
        self.fails.set(true);
        self.wake();
    }

    /// The backend answers what is outstanding.
    pub(crate) fn answer(&self) {
        self.outstanding.set(false);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn note(&self, call: &str) {
        self.calls.borrow_mut().push(call.to_string());
    }

    fn poll(&self, context: &Context<'_>, draining: bool) -> Poll<Result<(), Failure>> {
        if self.fails.replace(false) {
            return Poll::Ready(Err(Failure::own(&"it lies")));
        }
        if draining && !self.outstanding.get() {
            return Poll::Ready(Ok(()));
        }
        *self.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

pub(crate) struct Plain {
    knobs: Rc<Knobs>,
    connected: bool,
}

impl Plain {
    fn new(knobs: &Rc<Knobs>) -> Self {
        knobs.drivers.set(knobs.drivers.get() + 1);
        Self {
            knobs: knobs.clone(),
            connected: false,
        }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.knobs.drivers.set(self.knobs.drivers.get() - 1);
    }
}

impl Driver for Plain {
    fn publish<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<Published, Failure>> {
        Box::pin(async {
            self.knobs.note("publish");
            assert!(!self.connected);
            if self.knobs.puts_off.get() {
                return Ok(Published::PutOff);
            }
            let state = if self.knobs.publishes_connected.get() {
                XenbusState::Connected
            } else {
                XenbusState::Initialised
            };
            frontend
                .publish(&[("ring-ref", "8".to_string())], state)
                .await?;
            self.connected = true;
            Ok(Published::Rings)
        })
    }

    fn go_live<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<(), Failure>> {
        Box::pin(async {
            self.knobs.note("go live");
            assert!(self.connected);
            if !self.knobs.goes_live.get() {
                return Err(Failure::own(&"it is not to be used"));
            }
            Ok(frontend.set_state(XenbusState::Connected).await?)
        })
    }

    fn reread<'a>(&'a mut self, _frontend: &'a Frontend) -> Doing<'a, Result<(), Failure>> {
        self.knobs.rereads.set(self.knobs.rereads.get() + 1);
        Box::pin(ready(Ok(())))
    }

    fn look(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn serve<'a>(
        &'a mut self,
        _frontend: &'a Frontend,
        draining: bool,
    ) -> Doing<'a, Result<(), Failure>> {
        Box::pin(async move {
            if !self.connected {
                return pending().await;
            }
            poll_fn(|context| self.knobs.poll(context, draining)).await
        })
    }

    fn is_open(&self) -> bool {
        self.knobs.is_open.get()
    }

    fn refuse(&mut self) {
        self.knobs.note("refuse");
    }

    fn is_drained(&self) -> bool {
        !self.knobs.outstanding.get()
    }

    fn leave(&mut self) {
        self.knobs.note("leave");
        assert!(self.connected, "it was left twice");
        self.connected = false;
    }

    fn trace(&self, _own: u64, _backend: u64) {}
}

/// Makes drivers that all share their knobs.
pub(crate) struct Plains(pub(crate) Rc<Knobs>);

impl Drivers for Plains {
    fn make(&self, number: u32) -> (String, Box<dyn Driver>) {
        self.0.note("make");
        (format!("plain{number}"), Box::new(Plain::new(&self.0)))
    }

    fn gone(&self, number: u32, name: &str) {
        assert_eq!(name, format!("plain{number}"));
        self.0.note("gone");
    }
}
