//! Holding a provider: how an open comes down to the driver, and how a close does.

use alloc::rc::Rc;
use alloc::vec::Vec;

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
    name: Rc<str>,
    /// Every disk that it concerns, from the top to the bottom.
    disks: Vec<DiskId>,
    /// The drivers whose first open this is, from the bottom to the top.
    first: Vec<(DiskId, Rc<Door>)>,
}

impl Mesh {
    /// Changes what a consumer has open to `access`, opening the drivers whose first it is.
    pub(crate) fn set_access(&self, id: ConsumerId, access: Access) -> Result<(), OpenError> {
        self.serve_closes();
        let plan = self.graph.borrow().plan_access(id, access.counts())?;
        let mut opened = Ok(());
        for (disk, door) in &plan.first {
            opened = self.open_driver(*disk, door);
            if opened.is_err() {
                break;
            }
        }
        // A driver may have done anything inside its open, so what held before may not hold now.
        let mut graph = self.graph.borrow_mut();
        let checked = match opened {
            Ok(()) => graph.check_access(id, plan.change),
            Err(errno) => Err(plain(errno, &plan.name)),
        };
        match checked {
            Ok(()) => graph.apply_access(id, plan.change),
            Err(_) => plan.disks.iter().for_each(|id| graph.close_if_last(*id)),
        }
        drop(graph);
        self.serve_closes();
        plan.disks.iter().for_each(|disk| self.send(*disk));
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
        let change = consumer.counts.change_to(wanted);
        let (mut disks, mut first) = (Vec::new(), Vec::new());
        let mut next = Some(provider.base.disk);
        while let Some(id) = next {
            let disk = self.disks.get(id).ok_or_else(gone)?;
            if change.opens() && !disk.door.is_free() {
                return Err(plain(Errno::Busy, &disk.name));
            }
            disks.push(id);
            if change.opens() && !disk.open {
                first.push((id, disk.door.clone()));
            }
            let below = disk.stand.as_ref();
            let below = below.and_then(|stand| self.provider_of(stand.consumer));
            next = below.map(|provider| provider.base.disk);
        }
        if change.closes() && consumer.in_flight > 0 {
            return Err(plain(Errno::Busy, &provider.name));
        }
        self.check_access(id, change)?;
        first.reverse();
        Ok(Plan {
            change,
            name: provider.name.clone(),
            disks,
            first,
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
