//! One vbd, as its task in [`frontend`] drives it.

mod connecting;

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::future::pending;
use core::pin::pin;

use frontend::{Doing, Driver, Failure, Published};
use futures_util::{FutureExt, select_biased};
use geom::Geom;
use hv::Hypervisor;
use pv::Pv;
use xenbus::Frontend;

use crate::late::Leavings;
use crate::link::{Identity, Kept, Link};

/// One vbd.
pub(crate) struct Device<H: Hypervisor> {
    pub(crate) pv: Pv<H>,
    pub(crate) geom: Geom,
    pub(crate) identity: Identity,
    pub(crate) leavings: Rc<Leavings<H>>,
    /// The most queues that are made, one at least.
    pub(crate) queues: u32,
    /// The connection, from its publishing on.
    pub(crate) link: Option<Link<H>>,
    /// The disk, while it has no connection in the domain's new life.
    pub(crate) kept: Option<Kept>,
}

impl<H: Hypervisor> Driver for Device<H> {
    fn publish<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<Published, Failure>> {
        Box::pin(async {
            self.publish_rings(frontend).await?;
            Ok(Published::Rings)
        })
    }

    fn go_live<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<(), Failure>> {
        Box::pin(self.make_disk(frontend))
    }

    fn reread<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<(), Failure>> {
        Box::pin(self.reread_medium(frontend))
    }

    /// Takes the answers there are and sends what waits.
    fn look(&mut self) -> Result<(), Failure> {
        if let Some(link) = &mut self.link {
            link.turn()?;
        }
        Ok(())
    }

    fn serve<'a>(
        &'a mut self,
        _frontend: &'a Frontend,
        draining: bool,
    ) -> Doing<'a, Result<(), Failure>> {
        let Self { pv, link, .. } = self;
        Box::pin(async move {
            let Some(link) = link else {
                return pending().await;
            };
            let mut scarcity = pv.scarcity.watch();
            loop {
                {
                    let mut served = pin!(link.serve(&pv.exec, draining).fuse());
                    let mut scarce = pin!(scarcity.began().fuse());
                    select_biased! {
                        ended = served => return Ok(ended?),
                        () = scarce => {}
                    }
                }
                // Nothing else may come for long that would have it look at what it keeps.
                link.queues.trim();
            }
        })
    }

    /// Whether the disk takes new requests.
    fn is_open(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.door.is_open())
    }

    fn refuse(&mut self) {
        if let Some(link) = &mut self.link {
            link.refuse();
        }
    }

    fn is_drained(&self) -> bool {
        let outstanding = |link: &Link<H>| link.queues.outstanding();
        self.link.as_ref().map_or(0, outstanding) == 0
    }

    fn hold(&mut self) {
        if let Some(link) = &self.link {
            link.door.hold(true);
        }
    }

    fn go_on(&mut self) {
        if let Some(link) = &self.link {
            link.door.hold(false);
        }
    }

    fn lose(&mut self) {
        if let Some(link) = self.link.take() {
            self.kept = link.lose().or(self.kept.take());
        }
    }

    /// Fails what is outstanding, gives GEOM's disk up and lets go of ring and port.
    fn leave(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.give_up();
        }
        if let Some(link) = self.link.take() {
            link.leave();
        }
    }

    fn trace(&self, own: u64, backend: u64) {
        let now = self.pv.hv.now();
        self.pv.trace.record(now, "blkfront state", own, backend);
    }
}
