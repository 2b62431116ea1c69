//! A guest that runs the shipped code: `pv`, the xenstore client, GEOM, the block drivers, and
//! what a test spawns on them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use blkback::Blkback;
use blkback::target::Declarations;
use blkfront::Blkfront;
use geom::Geom;
use hv::{DomId, Hypervisor, Instant};
use net::{AddressSetting, Net};
use netfront::Netfront;
use pv::Pv;
use xenbus::Store;

use crate::{Dom, DomainConfig, Stop, Toolstack, World};

/// How long a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_secs(600);

/// A guest whose parts a test can reach, run by the world's scheduler.
///
/// It is what `app` makes of a domain, without console and shell.
pub struct Guest {
    /// Its domain.
    pub dom: Dom,
    /// What its drivers are given.
    pub pv: Pv<Dom>,
    /// Its xenstore client.
    pub store: Store,
    /// Its disks. After each step of its work its laws are checked.
    pub geom: Geom,
    /// Its block frontend, if it has one.
    pub blkfront: Option<Blkfront<Dom>>,
    /// Its block backend, if it has one.
    pub blkback: Option<Blkback<Dom>>,
    /// Its network frontend, if it has one.
    pub netfront: Option<Netfront<Dom>>,
    /// Its network stack, if it has one.
    pub net: Option<Net>,
}

/// What a guest holds; compared before and after, it shows leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// What it holds of Xen.
    pub xen: crate::Usage,
    /// What it holds of xenstore.
    pub store: crate::xenstored::StoreUsage,
    /// Pages that it has granted.
    pub granted: usize,
    /// Pages that peers still map after the grant ended.
    pub parked: usize,
    /// Tasks.
    pub tasks: usize,
    /// Geoms, providers, consumers, disk records and requests.
    pub graph: [usize; 5],
}

impl Guest {
    /// Creates a domain and starts `pv` and the xenstore client in it.
    #[must_use]
    pub fn start(world: &World, toolstack: &Toolstack, id: DomId, config: DomainConfig) -> Self {
        let dom = toolstack.create_domain(id, "guest", config);
        let pv = Pv::new(dom.clone());
        let store = Store::start(&pv);
        let geom = Geom::new(geom::Params::default());
        let (running, mesh) = (pv.clone(), geom.clone());
        world.run_domain(&dom, move || turn(&running, &mesh));
        Self {
            dom,
            pv,
            store,
            geom,
            blkfront: None,
            blkback: None,
            netfront: None,
            net: None,
        }
    }

    /// As [`start`](Self::start), with the block frontend.
    #[must_use]
    pub fn with_disks(
        world: &World,
        toolstack: &Toolstack,
        id: DomId,
        config: DomainConfig,
    ) -> Self {
        Self::with_queues(world, toolstack, id, config, 1)
    }

    /// As [`with_disks`](Self::with_disks), each with up to `queues` rings.
    #[must_use]
    pub fn with_queues(
        world: &World,
        toolstack: &Toolstack,
        id: DomId,
        config: DomainConfig,
        queues: u32,
    ) -> Self {
        let mut guest = Self::start(world, toolstack, id, config);
        let pv = &guest.pv;
        pv.exec
            .spawn("grants", pv.grants.clone().reclaim(pv.exec.clone()));
        guest.blkfront = Some(Blkfront::with_queues(pv, &guest.store, &guest.geom, queues));
        guest
    }

    /// As [`with_disks`](Self::with_disks), with the block backend: a storage driver domain.
    #[must_use]
    pub fn with_exports(
        world: &World,
        toolstack: &Toolstack,
        id: DomId,
        config: DomainConfig,
    ) -> Self {
        let mut guest = Self::with_disks(world, toolstack, id, config);
        guest.serve(Declarations::default());
        guest
    }

    /// As [`start`](Self::start), with the network frontend; its vifs have up to `queues` pairs of
    /// rings.
    #[must_use]
    pub fn with_network(
        world: &World,
        toolstack: &Toolstack,
        id: DomId,
        config: DomainConfig,
        queues: u32,
    ) -> Self {
        let mut guest = Self::start(world, toolstack, id, config);
        let pv = &guest.pv;
        pv.exec
            .spawn("grants", pv.grants.clone().reclaim(pv.exec.clone()));
        guest.netfront = Some(Netfront::with_queues(pv, &guest.store, queues));
        guest
    }

    /// As [`with_network`](Self::with_network), with one queue and the network stack. `address` is
    /// that of its first vif, as `ip=` has it.
    ///
    /// # Panics
    /// If that is none.
    #[must_use]
    pub fn with_stack(
        world: &World,
        toolstack: &Toolstack,
        id: DomId,
        config: DomainConfig,
        address: &str,
    ) -> Self {
        let mut guest = Self::with_network(world, toolstack, id, config, 1);
        let address = AddressSetting::parse(address).expect("an address");
        let netfront = guest.netfront.as_ref().expect("it has a network");
        guest.net = Some(Net::start(&guest.pv, netfront, vec![address]));
        guest
    }

    /// Starts the block backend for what is declared. To be called once per guest.
    pub fn serve(&mut self, declarations: Declarations) {
        let blkback = Blkback::start(&self.pv, &self.store, &self.geom, declarations);
        self.blkback = Some(blkback);
    }

    /// How many lines of the guest's log, as far as it keeps them, contain this text.
    #[must_use]
    pub fn log_lines(&self, containing: &str) -> usize {
        let lines = self.pv.log.lines_from(0);
        lines.filter(|line| line.text.contains(containing)).count()
    }

    /// Runs the world until `future`, a task of this guest, is done.
    ///
    /// # Errors
    /// Why it did not come to an end.
    ///
    /// # Panics
    /// Never: the future's result is there when it is done.
    pub fn run<T: 'static>(
        &self,
        world: &World,
        future: impl Future<Output = T> + 'static,
    ) -> Result<T, Stop> {
        let result = self.spawn(world, future);
        world.run_until(|_| result.borrow().is_some(), PATIENCE)?;
        Ok(result.borrow_mut().take().expect("the future is done"))
    }

    /// Starts `future` as a task of this guest; its result appears when it is done.
    pub fn spawn<T: 'static>(
        &self,
        world: &World,
        future: impl Future<Output = T> + 'static,
    ) -> Rc<RefCell<Option<T>>> {
        let result = Rc::new(RefCell::new(None));
        let slot = result.clone();
        self.pv.exec.spawn("test", async move {
            let value = future.await;
            *slot.borrow_mut() = Some(value);
        });
        world.wake_domain(self.dom.id());
        result
    }

    /// What it holds now.
    #[must_use]
    pub fn holdings(&self, toolstack: &Toolstack) -> Holdings {
        let counters = self.geom.counters();
        let grants = self.pv.grants.usage();
        Holdings {
            xen: self.dom.xen().usage(self.dom.id()),
            store: toolstack.store().usage(self.dom.id()),
            granted: grants.granted,
            parked: grants.parked,
            tasks: self.pv.exec.tasks().len(),
            graph: [
                counters.geoms,
                counters.providers,
                counters.consumers,
                counters.disk_records,
                counters.requests,
            ],
        }
    }

    /// The log so far, as the console would show it.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let lines = self.pv.log.lines_from(0);
        lines.map(|line| line.to_string()).collect()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.pv.exec.drop_tasks();
    }
}

/// One pass of the run loop: events, tasks and GEOM until nothing is left to do now.
fn turn(pv: &Pv<Dom>, geom: &Geom) -> Option<Instant> {
    pv.events.dispatch();
    let now = pv.hv.now();
    loop {
        let before = pv.exec.polls();
        if pv.exec.turn(now) {
            return Some(now);
        }
        let mut worked = pv.exec.polls() != before;
        while geom.step(now.since_start()) {
            worked = true;
            if let Err(law) = geom.check() {
                pv.hv.xen().violation(law);
            }
        }
        if !worked {
            break;
        }
    }
    let deadline = geom.next_deadline().map(|at| Instant(0).after(at));
    match (pv.exec.next_deadline(), deadline) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
