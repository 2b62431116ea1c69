//! Holding a provider: how an open comes down to the driver, and how a close does.

use alloc::rc::Rc;

use crate::access::{Access, Change, Counts, OpenError};
use crate::disk::door::Door;
use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::{ConsumerId, DiskId};
use crate::mesh::Mesh;
use crate::open::plain;

/// A change of access that passed its checks.
struct Plan {
    change: Change,
    disk: DiskId,
    name: Rc<str>,
    /// The driver, if this is its first open.
    first: Option<Rc<Door>>,
}

impl Mesh {
    /// Changes what a consumer has open to `access`, opening the driver if it is the first.
    pub(crate) fn set_access(&self, id: ConsumerId, access: Access) -> Result<(), OpenError> {
        self.serve_closes();
        let plan = self.graph.borrow().plan_access(id, access.counts())?;
        if let Some(door) = plan.first {
            self.open_driver(plan.disk, &door)
                .map_err(|errno| plain(errno, &plan.name))?;
        }
        // The driver may have done anything inside its open, so what held before may not hold now.
        let mut graph = self.graph.borrow_mut();
        let checked = graph.check_access(id, plan.change);
        match checked {
            Ok(()) => graph.apply_access(id, plan.change),
            Err(_) => graph.close_if_last(plan.disk),
        }
        drop(graph);
        self.serve_closes();
        self.send(plan.disk);
        self.inbox.ring();
        checked
    }

    /// Closes a consumer of an application or a taste, at once or when its last request is back.
    pub(crate) fn close(&self, id: ConsumerId) {
        let mut graph = self.graph.borrow_mut();
        if let Some(consumer) = graph.consumers.get_mut(id) {
            consumer.closing = true;
        }
        graph.finish_close(id);
        drop(graph);
        self.serve_closes();
        self.inbox.ring();
    }

    /// Opens the driver. It counts as open from before its call, so that nothing takes it for idle
    /// meanwhile.
    fn open_driver(&self, id: DiskId, door: &Door) -> Result<(), Errno> {
        self.set_open(id, true);
        let opened = door.open();
        if opened.is_err() {
            self.set_open(id, false);
            self.graph.borrow_mut().advance(id);
            self.inbox.ring();
        }
        opened
    }

    fn set_open(&self, id: DiskId, open: bool) {
        if let Some(disk) = self.graph.borrow_mut().disks.get_mut(id) {
            disk.open = open;
        }
    }
}

impl Graph {
    fn plan_access(&self, id: ConsumerId, wanted: Counts) -> Result<Plan, OpenError> {
        let gone = || plain(Errno::NoDevice, "?");
        let consumer = self.consumers.get(id).ok_or_else(gone)?;
        let provider = self.provider_of(id).ok_or_else(gone)?;
        let disk = self.disks.get(provider.base.disk).ok_or_else(gone)?;
        let change = consumer.counts.change_to(wanted);
        let active = change.closes() && consumer.in_flight > 0;
        if active || (change.opens() && !disk.door.is_free()) {
            return Err(plain(Errno::Busy, &provider.name));
        }
        self.check_access(id, change)?;
        let first = change.opens() && !disk.open;
        Ok(Plan {
            change,
            disk: provider.base.disk,
            name: provider.name.clone(),
            first: first.then(|| disk.door.clone()),
        })
    }

    /// Drops the counts of a consumer that is closing and idle, and has it washed away.
    pub(crate) fn finish_close(&mut self, id: ConsumerId) {
        let Some(consumer) = self.consumers.get(id) else {
            return;
        };
        if !consumer.closing || consumer.in_flight > 0 {
            return;
        }
        let (geom, counts) = (consumer.geom, consumer.counts);
        self.apply_access(id, counts.change_to(Counts::default()));
        if let Some(node) = self.geoms.get_mut(geom) {
            node.wither = true;
        }
        self.wash_later(geom);
    }
}
