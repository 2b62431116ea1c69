//! [`Geom`]: the whole mesh of classes, geoms, providers and consumers behind one handle.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::task::Waker;
use core::time::Duration;

use crate::access::{Access, OpenError};
use crate::bio::Inbox;
use crate::class::Class;
use crate::class::part::Part;
use crate::device::Device;
use crate::disk::{Disk, DiskError, DiskHandle, DiskInfo, DiskParams};
use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::ConsumerId;
use crate::node::Kind;
use crate::open::plain;
use crate::params::Params;
use crate::provider::{Provider, ProviderInfo, Tasted};

/// Steps of work that one poll does at most; what remains waits for the next.
const STEPS: u32 = 100_000;

/// GEOM. A handle: clones are the same mesh. It belongs to one thread.
#[derive(Clone)]
pub struct Geom(Rc<Mesh>);

/// What the handles share.
pub(crate) struct Mesh {
    pub(crate) graph: RefCell<Graph>,
    pub(crate) inbox: Rc<Inbox>,
    pub(crate) classes: Vec<Rc<dyn Class>>,
    pub(crate) params: Params,
    pub(crate) now: Cell<Duration>,
}

/// How many of what there are: for tests that everything is back at its baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Disks ever created.
    pub disks_created: u64,
    /// Disks whose driver was told that they are gone.
    pub disks_gone: u64,
    /// `disks_created - disks_gone`.
    pub disks_live: u64,
    /// Records of disks, also of those that are gone and not destroyed.
    pub disk_records: usize,
    /// Geoms.
    pub geoms: usize,
    /// Providers.
    pub providers: usize,
    /// Consumers.
    pub consumers: usize,
    /// Requests that have not ended.
    pub requests: usize,
    /// Tastes under way.
    pub tastes: usize,
    /// Bios that a driver dropped instead of completing: bugs.
    pub dropped_bios: u64,
    /// Entries into a driver after it was gone, all stopped at the door: bugs.
    pub late_entries: u64,
}

impl Geom {
    /// A mesh with the classes DISK, PART and DEV.
    #[must_use]
    pub fn new(params: Params) -> Self {
        Self::with_classes(params, alloc::vec![Rc::new(Part)])
    }

    /// A mesh with these classes beside DISK and DEV; each provider is tasted in their order.
    #[must_use]
    pub fn with_classes(params: Params, classes: Vec<Rc<dyn Class>>) -> Self {
        Self(Rc::new(Mesh {
            graph: RefCell::default(),
            inbox: Rc::default(),
            classes,
            params,
            now: Cell::new(Duration::ZERO),
        }))
    }

    /// Works until nothing is left to do now: completions, events, tastes, deadlines, departures.
    /// `now` is the time since boot. Inside a poll this does nothing.
    pub fn poll(&self, now: Duration) {
        let mesh = &self.0;
        if !mesh.inbox.enter() {
            return;
        }
        mesh.inbox.take_rung();
        mesh.now.set(now.max(mesh.now.get()));
        let more = (0..STEPS).all(|_| mesh.step());
        mesh.inbox.leave();
        self.ring_if(more);
    }

    /// Does one piece of the work of a [`poll`](Self::poll), and tells whether there was any: for
    /// tests and simulators that want to be in between.
    pub fn step(&self, now: Duration) -> bool {
        let mesh = &self.0;
        if !mesh.inbox.enter() {
            return false;
        }
        mesh.now.set(now.max(mesh.now.get()));
        let more = mesh.step();
        mesh.inbox.leave();
        self.ring_if(more);
        more
    }

    /// Asks for another poll if work is left, or could not be done inside a driver's own call.
    fn ring_if(&self, more: bool) {
        let mesh = &self.0;
        let graph = mesh.graph.borrow();
        let postponed = more || !graph.departing.is_empty() || !graph.closing.is_empty();
        drop(graph);
        if postponed {
            mesh.inbox.ring();
        } else {
            mesh.inbox.take_rung();
        }
    }

    /// When [`poll`](Self::poll) must be called again even if nothing happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let graph = self.0.graph.borrow();
        graph
            .tastes
            .values()
            .filter(|taste| !taste.late)
            .map(|taste| taste.deadline)
            .min()
    }

    /// Whom to wake when there is something to poll for.
    pub fn set_waker(&self, waker: &Waker) {
        self.0.inbox.set_waker(waker);
    }

    /// Whether every provider is tasted, or known not to be for now: what was there at boot is all
    /// there.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let graph = self.0.graph.borrow();
        let unsettled = |p: &Provider| {
            p.is_live() && matches!(p.tasted, Tasted::Pending | Tasted::Running)
                || p.pending != crate::event::Pending::default()
        };
        graph.creating.is_empty() && !graph.providers.values().any(unsettled)
    }

    /// Takes a disk in. See [`disk`](crate::disk).
    ///
    /// # Errors
    /// A wrong version, sizes that make no sense, or a name in use. The driver is dropped, its
    /// `gone` is not called.
    pub fn disk_create(
        &self,
        params: DiskParams,
        driver: Box<dyn Disk>,
    ) -> Result<DiskHandle, DiskError> {
        let id = self.0.graph.borrow_mut().create_disk(params, driver)?;
        self.0.inbox.ring();
        Ok(DiskHandle::new(Rc::downgrade(&self.0), id))
    }

    /// Opens a provider by name for "an application".
    ///
    /// # Errors
    /// As [`open_as`](Self::open_as).
    pub fn open(&self, name: &str, access: Access) -> Result<Device, OpenError> {
        self.open_as(name, access, "an application")
    }

    /// Opens the live provider of that name for `holder`, whom refusals of others will name.
    ///
    /// # Errors
    /// No such provider, a lost one, a read-only one, one that somebody holds, or whatever the
    /// driver's `open` returns. An access of nothing at all is [`Errno::Invalid`].
    pub fn open_as(&self, name: &str, access: Access, holder: &str) -> Result<Device, OpenError> {
        if access == Access::default() {
            return Err(plain(Errno::Invalid, name));
        }
        let mut graph = self.0.graph.borrow_mut();
        let provider = graph
            .find(name)
            .ok_or_else(|| plain(Errno::NotFound, name))?;
        if let Some(errno) = provider.error {
            return Err(plain(errno, name));
        }
        let provider = provider.id;
        let kind = Kind::Dev {
            holder: holder.into(),
        };
        let attached = graph
            .attach(kind, provider)
            .map_err(|errno| plain(errno, name))?;
        let (_, consumer) = attached;
        drop(graph);
        let device = Device::new(self.0.clone(), consumer, provider, name.into());
        self.0.set_access(consumer, access)?;
        Ok(device)
    }

    /// All providers, in the order of their making.
    #[must_use]
    pub fn providers(&self) -> Vec<ProviderInfo> {
        let graph = self.0.graph.borrow();
        graph
            .providers
            .values()
            .map(|provider| graph.provider_info(provider))
            .collect()
    }

    /// The live provider of that name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<ProviderInfo> {
        let graph = self.0.graph.borrow();
        graph
            .find(name)
            .map(|provider| graph.provider_info(provider))
    }

    /// All disks that are not gone and destroyed, in the order of their creation.
    #[must_use]
    pub fn disks(&self) -> Vec<DiskInfo> {
        let graph = self.0.graph.borrow();
        let info = |disk: &crate::disk::record::DiskRecord| DiskInfo {
            name: String::from(&*disk.name),
            state: disk.state,
            media_size: disk.params.media_size,
            sector_size: disk.params.sector_size,
            limits: disk.params.limits,
            read_only: disk.params.read_only,
            in_flight: disk.in_flight,
            ident: disk.params.ident.clone(),
            description: disk.params.description.clone(),
        };
        graph.disks.values().map(info).collect()
    }

    /// How many of what there are.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let graph = self.0.graph.borrow();
        Counters {
            disks_created: graph.created,
            disks_gone: graph.gone,
            disks_live: graph.created - graph.gone,
            disk_records: graph.disks.len(),
            geoms: graph.geoms.len(),
            providers: graph.providers.len(),
            consumers: graph.consumers.len(),
            requests: graph.requests.len(),
            tastes: graph.tastes.len(),
            dropped_bios: graph.dropped_bios,
            late_entries: graph.late_entries.get(),
        }
    }

    /// The next line for a log, such as `xbd0: GPT, 3 partitions`.
    #[must_use]
    pub fn take_notice(&self) -> Option<String> {
        self.0.graph.borrow_mut().notices.take()
    }

    /// Completions that no poll has worked on.
    #[cfg(test)]
    pub(crate) fn waiting_completions(&self) -> String {
        self.0.inbox.describe()
    }

    /// Runs `work` over the graph: for dumps and checks.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Graph) -> T) -> T {
        work(&self.0.graph.borrow())
    }
}

impl Graph {
    fn provider_info(&self, provider: &Provider) -> ProviderInfo {
        ProviderInfo {
            id: provider.id,
            name: String::from(&*provider.name),
            class: self
                .geoms
                .get(&provider.geom)
                .map_or("", |node| node.class_name()),
            media_size: provider.media_size,
            sector_size: provider.sector_size,
            stripe_size: provider.stripe_size,
            offset: provider.base.offset,
            counts: provider.counts,
            tasted: provider.tasted,
            error: provider.error,
            generation: provider.generation,
        }
    }
}

impl Mesh {
    /// Does one piece of work. The order is the law: what is lost is told before anything else
    /// happens, and what withers is washed before anything new is made.
    fn step(&self) -> bool {
        self.serve_completion()
            || self.serve_closes()
            || self.graph.borrow_mut().serve_doorstep()
            || self.graph.borrow_mut().wash_next()
            || self.graph.borrow_mut().serve_creation()
            || self.serve_event()
            || self.serve_sending()
            || self.serve_deadline()
            || self.serve_departure()
    }

    fn serve_event(&self) -> bool {
        let event = self.graph.borrow_mut().next_event();
        let Some((id, pending)) = event else {
            return false;
        };
        let live = self
            .graph
            .borrow()
            .providers
            .get(&id)
            .is_some_and(Provider::is_live);
        if pending.spoil && live {
            self.graph.borrow_mut().serve_spoil(id);
        }
        if pending.resize && live {
            self.graph.borrow_mut().serve_resize(id);
        }
        if pending.taste && live {
            self.begin_taste(id, pending.refresh);
        }
        if pending.step {
            self.step_taste(id);
        }
        true
    }

    /// Changes what a consumer has open to `access`, opening the driver if it is the first.
    pub(crate) fn set_access(&self, id: ConsumerId, access: Access) -> Result<(), OpenError> {
        self.serve_closes();
        let mut graph = self.graph.borrow_mut();
        let gone = || plain(Errno::NoDevice, "?");
        let consumer = graph.consumers.get(&id).ok_or_else(gone)?;
        let change = consumer.counts.change_to(access.counts());
        if change.closes() && consumer.in_flight > 0 {
            let name = graph.provider_of(id).map(|provider| provider.name.clone());
            return Err(plain(Errno::Busy, name.as_deref().unwrap_or("?")));
        }
        graph.check_access(id, change)?;
        let provider = graph.provider_of(id).ok_or_else(gone)?;
        let (disk_id, name) = (provider.base.disk, provider.name.clone());
        let disk = graph.disks.get_mut(&disk_id).ok_or_else(gone)?;
        if change.opens() && !disk.door.is_free() {
            return Err(plain(Errno::Busy, &name));
        }
        if change.opens() && !disk.open {
            disk.open = true;
            let door = disk.door.clone();
            drop(graph);
            let opened = door.open();
            graph = self.graph.borrow_mut();
            let checked = graph.check_access(id, change);
            match (opened, checked) {
                (Ok(()), Ok(())) => {}
                (Ok(()), Err(error)) => {
                    graph.close_if_last(disk_id);
                    drop(graph);
                    self.serve_closes();
                    self.inbox.ring();
                    return Err(error);
                }
                (Err(errno), _) => {
                    if let Some(disk) = graph.disks.get_mut(&disk_id) {
                        disk.open = false;
                    }
                    graph.advance(disk_id);
                    drop(graph);
                    self.inbox.ring();
                    return Err(plain(errno, &name));
                }
            }
        }
        graph.apply_access(id, change);
        drop(graph);
        self.serve_closes();
        self.send(disk_id);
        self.inbox.ring();
        Ok(())
    }

    /// Closes a consumer of an application or a taste, at once or when its last request is back.
    pub(crate) fn close(&self, id: ConsumerId) {
        let mut graph = self.graph.borrow_mut();
        if let Some(consumer) = graph.consumers.get_mut(&id) {
            consumer.closing = true;
        }
        graph.finish_close(id);
        drop(graph);
        self.serve_closes();
        self.inbox.ring();
    }
}

impl Graph {
    /// Drops the counts of a consumer that is closing and idle, and has it washed away.
    pub(crate) fn finish_close(&mut self, id: ConsumerId) {
        let Some(consumer) = self.consumers.get(&id) else {
            return;
        };
        if !consumer.closing || consumer.in_flight > 0 {
            return;
        }
        let (geom, counts) = (consumer.geom, consumer.counts);
        let change = counts.change_to(crate::access::Counts::default());
        self.apply_access(id, change);
        if let Some(node) = self.geoms.get_mut(&geom) {
            node.wither = true;
        }
        self.wash_later(geom);
    }
}
