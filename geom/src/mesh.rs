//! [`Geom`]: the whole mesh of classes, geoms, providers and consumers behind one handle.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, Ref, RefCell};
use core::task::Waker;
use core::time::Duration;

use crate::access::{Access, OpenError};
use crate::class::Class;
use crate::class::part::Part;
use crate::device::Device;
use crate::disk::{Disk, DiskError, DiskHandle, DiskParams};
use crate::errno::Errno;
use crate::graph::Graph;
use crate::inbox::Inbox;
use crate::node::Kind;
use crate::open::plain;
use crate::pages::Pages;
use crate::params::Params;
use crate::provider::{Provider, Tasted};

/// Steps of work that one poll does at most; what remains waits for the next.
pub(crate) const STEPS: u32 = 100_000;

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
    /// Where classes get pages.
    pub(crate) pages: RefCell<Option<Pages>>,
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
            pages: RefCell::default(),
        }))
    }

    /// Works until nothing is left to do now: completions, events, tastes, deadlines, departures.
    /// `now` is the time since boot. Inside a poll this does nothing.
    pub fn poll(&self, now: Duration) {
        self.work(now, STEPS, STEPS);
    }

    /// Does one piece of the work of a [`poll`](Self::poll), and tells whether there was any: for
    /// tests and simulators that want to be in between.
    pub fn step(&self, now: Duration) -> bool {
        self.work(now, 1, 1)
    }

    /// Does at most so many pieces of work, with so many completions in each, and tells whether
    /// there may be more.
    fn work(&self, now: Duration, steps: u32, completions: u32) -> bool {
        let mesh = &self.0;
        if mesh.inbox.enter().is_none() {
            return false;
        }
        mesh.now.set(now.max(mesh.now.get()));
        let (mut more, mut due) = (false, mesh.is_due());
        if due {
            more = (0..steps).all(|_| mesh.step(completions));
            // What is left waits for the next poll: there was too much, or a driver cannot be
            // entered inside a call of its own.
            due = mesh.is_due();
        }
        mesh.inbox.leave_poll(due);
        more
    }

    /// When [`poll`](Self::poll) must be called again even if nothing happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let graph = self.0.graph.borrow();
        let tastes = graph.tastes.values().filter(|taste| !taste.late);
        let deadlines = tastes.map(|taste| taste.deadline);
        deadlines.chain(graph.next_timer).min()
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

    pub(crate) fn mesh(&self) -> &Rc<Mesh> {
        &self.0
    }

    pub(crate) fn graph(&self) -> Ref<'_, Graph> {
        self.0.graph.borrow()
    }

    /// Runs `work` over the graph: for dumps and checks.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Graph) -> T) -> T {
        work(&self.0.graph.borrow())
    }
}

impl Mesh {
    /// Whether there is something to work on.
    pub(crate) fn is_due(&self) -> bool {
        !self.inbox.is_empty() || self.graph.borrow().is_due(self.now.get())
    }

    /// Does one piece of work. The order is the law: what is lost is told before anything else
    /// happens, and what withers is washed before anything new is made.
    fn step(&self, completions: u32) -> bool {
        self.serve_completions(completions)
            || self.serve_closes()
            || self.graph.borrow_mut().serve_doorstep()
            || self.graph.borrow_mut().wash_next()
            || self.graph.borrow_mut().serve_creation()
            || self.serve_event()
            || self.serve_changed()
            || self.serve_sending()
            || self.serve_deadline()
            || self.serve_timer()
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
            .get(id)
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
}
