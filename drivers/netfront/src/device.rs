//! One vif, as its task in [`frontend`] drives it. Packets are no concern of it.

mod connecting;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::Cell;
use core::future::{pending, ready};
use core::pin::pin;

use frontend::{Doing, Driver, Failure, Leavings, Published};
use futures_util::{FutureExt, select_biased};
use hv::Hypervisor;
use pv::Pv;
use xenbus::Frontend;

use crate::carrier::Carrier;
use crate::connection::Connection;
use crate::event::Events;
use crate::fault::Fault;
use crate::link::Description;

/// One vif.
pub(crate) struct Device<H: Hypervisor> {
    pub(crate) pv: Pv<H>,
    /// `xn0`.
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) events: Rc<Events<H>>,
    pub(crate) leavings: Rc<Leavings>,
    /// The most queues that are made, one at least.
    pub(crate) queues: u32,
    /// The backend may leave multicast packets away.
    pub(crate) filter: Rc<Cell<bool>>,
    /// What the rings are for, from their publishing on.
    pub(crate) connection: Option<(Rc<Connection<H>>, Description)>,
    pub(crate) carrier: Carrier,
}

impl<H: Hypervisor> Device<H> {
    /// Waits until the backend does what no backend may do, with an eye on its carrier and
    /// on memory.
    async fn guard(&mut self, frontend: &Frontend) -> Fault {
        let Some((connection, _)) = &self.connection else {
            return pending().await;
        };
        let speaker = (&self.pv.log, self.name.as_str());
        let mut fault = pin!(connection.fault().fuse());
        let mut carrier = pin!(self.carrier.follow(frontend, connection, speaker).fuse());
        let mut giving = pin!(connection.give_way(&self.pv.scarcity).fuse());
        select_biased! {
            fault = fault => Fault::Misbehaviour(fault),
            never = carrier => match never {},
            never = giving => match never {},
        }
    }
}

impl<H: Hypervisor> Driver for Device<H> {
    fn publish<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<Published, Failure>> {
        Box::pin(self.publish_rings(frontend))
    }

    fn go_live<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<(), Failure>> {
        Box::pin(async {
            self.show_link(frontend).await;
            Ok(())
        })
    }

    /// Nothing changes in use but the carrier.
    fn reread<'a>(&'a mut self, _frontend: &'a Frontend) -> Doing<'a, Result<(), Failure>> {
        Box::pin(ready(Ok(())))
    }

    /// It is the link's user that looks.
    fn look(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn serve<'a>(
        &'a mut self,
        frontend: &'a Frontend,
        _draining: bool,
    ) -> Doing<'a, Result<(), Failure>> {
        Box::pin(async { Err(self.guard(frontend).await.into()) })
    }

    /// Nothing of the store is needed for packets.
    fn is_open(&self) -> bool {
        true
    }

    fn refuse(&mut self) {}

    /// Nothing is promised for what is on its way: a network loses packets.
    fn is_drained(&self) -> bool {
        true
    }

    fn leave(&mut self) {
        self.carrier = Carrier::default();
        if let Some((connection, _)) = self.connection.take() {
            connection.end();
        }
    }

    fn trace(&self, own: u64, backend: u64) {
        let now = self.pv.hv.now();
        self.pv.trace.record(now, "netfront state", own, backend);
    }
}
