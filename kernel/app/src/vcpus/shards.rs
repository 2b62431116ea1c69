//! All shards, as the first vCPU's loop sees them.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use blkback::target::Declarations;
use blkback::{Blkback, Claims};
use exec::{Executor, Mailbox};
use futures_util::future::join_all;
use gate::Client as GateClient;
use geom::Geom;
use hv::{Hypervisor, Resumed};
use pv::Pv;
use xenbus::Store;

use crate::placement::Placement;
use crate::vcpus::hotplug::Hotplug;
use crate::vcpus::shard::{Inside, Shard, Ways};

/// How long clients may take to let go, before a domain that ends does so all the same; each
/// export lets go of one that does not after 5 s.
const CLOSE: Duration = Duration::from_secs(15);

/// The shards of a domain, none if it has one vCPU. A handle; clones speak for the same ones.
pub(crate) struct Shards<H: Hypervisor> {
    exec: Executor,
    mailboxes: Rc<Vec<Mailbox<Inside<H>>>>,
    gate: Mailbox<GateClient>,
    placement: Placement,
    hotplug: Hotplug<H>,
}

impl<H: Hypervisor> Clone for Shards<H> {
    fn clone(&self) -> Self {
        Self {
            exec: self.exec.clone(),
            mailboxes: self.mailboxes.clone(),
            gate: self.gate.clone(),
            placement: self.placement.clone(),
            hotplug: self.hotplug.clone(),
        }
    }
}

impl<H: Hypervisor> Shards<H> {
    /// Makes one for each further vCPU, and has these run. To be called once per domain; somebody
    /// is to turn them. They export what `declarations` allow.
    pub(crate) fn start(
        pv: &Pv<H>,
        (store, geom): (&Store, &Geom),
        blkback: &Blkback<H>,
        (claims, declarations): (&Claims, &Declarations),
        placement: &Placement,
    ) -> (Self, Vec<Shard<H>>) {
        let ways = Ways::new(claims);
        if placement.is_shared() {
            pv.exec.set_bell(placement.ringer(0));
            serve(pv, &ways.store, store.clone());
            serve(pv, &ways.log, pv.log.clone());
            serve(pv, &ways.graph, geom.clone());
            serve(pv, &ways.blkback, blkback.clone());
            let hv = pv.hv.clone();
            let room = move || hv.heap_room();
            let client = GateClient::new(&pv.exec, &pv.log, geom, room);
            serve(pv, &ways.gate, client);
        }
        let numbers = 1..placement.vcpus();
        let made =
            numbers.map(|number| Shard::new(pv, number, placement, &ways, declarations.clone()));
        let (shards, mailboxes) = made.unzip();
        let this = Self {
            exec: pv.exec.clone(),
            mailboxes: Rc::new(mailboxes),
            gate: ways.gate,
            placement: placement.clone(),
            hotplug: Hotplug::start(pv, store, placement),
        };
        (this, shards)
    }

    /// Those of a domain that has one run loop.
    pub(crate) fn none(pv: &Pv<H>, store: &Store, placement: &Placement) -> Self {
        Self {
            exec: pv.exec.clone(),
            mailboxes: Rc::default(),
            gate: Mailbox::default(),
            hotplug: Hotplug::start(pv, store, placement),
            placement: placement.clone(),
        }
    }

    /// Waits until every disk of theirs that was there at boot is in the graph, or known not to be
    /// for now.
    pub(crate) async fn settled(&self) {
        if self.mailboxes.is_empty() {
            return;
        }
        let settled = |mailbox: &Mailbox<Inside<H>>| mailbox.ask(|inside| inside.clone().settled());
        join_all(self.mailboxes.iter().map(settled)).await;
        // What they have sent there before is done before this.
        self.gate.ask(|_| async {}).await;
    }

    /// Waits until nothing is under way with another domain, and the first vCPU has all of them.
    ///
    /// # Errors
    /// Why that is not to be had, as people read it.
    pub(crate) async fn hold(&self) -> Result<(), String> {
        for mailbox in &*self.mailboxes {
            let held = mailbox.ask(|inside: &Inside<H>| inside.clone().hold_disks());
            held.await.unwrap_or(Ok(()))?;
        }
        // One that is still may keep another from ending a transaction: there are few at a time.
        for mailbox in &*self.mailboxes {
            let held = mailbox.ask(|inside: &Inside<H>| inside.clone().hold_store());
            held.await.unwrap_or(Ok(()))?;
        }
        self.hotplug.gather().await;
        Ok(())
    }

    /// The domain lives anew. To be called before they run again.
    pub(crate) fn begin_anew(&self) {
        self.placement.begin_anew();
    }

    /// Lets them go on, each on its vCPU.
    pub(crate) fn release(&self, resumed: Resumed) {
        for mailbox in &*self.mailboxes {
            mailbox.send(move |_, inside| inside.release(resumed));
        }
        self.hotplug.spread();
    }

    /// Waits until each has come round.
    pub(crate) async fn come_round(&self) {
        let answers = self
            .mailboxes
            .iter()
            .map(|mailbox| mailbox.ask(|_| async {}));
        join_all(answers).await;
    }

    /// Has them let their clients go. One that does not come round holds nobody up for long.
    pub(crate) async fn close(&self) {
        let closed = |mailbox: &Mailbox<Inside<H>>| mailbox.ask(|inside| inside.clone().close());
        let all = join_all(self.mailboxes.iter().map(closed));
        let _in_time = self.exec.timeout(CLOSE, all).await;
    }
}

/// Has what a shard sends through `mailbox` done in the first vCPU's loop.
fn serve<H: Hypervisor, L: 'static>(pv: &Pv<H>, mailbox: &Mailbox<L>, local: L) {
    let served = mailbox.clone().serve(pv.exec.clone(), local);
    pv.exec.spawn("shards", served);
}
