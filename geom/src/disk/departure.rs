//! How disks come into the graph and how they leave it.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;

use crate::disk::door::Door;
use crate::disk::record::DiskRecord;
use crate::disk::{Disk, DiskError, DiskParams, DiskState};
use crate::errno::Errno;
use crate::graph::{Graph, NewProvider};
use crate::id::DiskId;
use crate::mesh::Mesh;
use crate::node::Kind;
use crate::provider::Base;

impl Graph {
    /// Notes a new disk; its create event makes it appear.
    pub(crate) fn create_disk(
        &mut self,
        params: DiskParams,
        driver: Box<dyn Disk>,
    ) -> Result<DiskId, DiskError> {
        params.check()?;
        let name: Rc<str> = format!("{}{}", params.name, params.unit).into();
        if self
            .disks
            .values()
            .any(|disk| disk.name == name && disk.is_live())
        {
            return Err(DiskError::NameInUse(name.as_ref().into()));
        }
        self.reserve_places();
        let serial = self.serial();
        let door = Rc::new(Door::new(driver, self.late_entries.clone()));
        let record = DiskRecord::new(name, params, door);
        let id = self.disks.add(serial, |_| record);
        self.created += 1;
        self.creating.push_back(id);
        Ok(id)
    }

    /// Runs the next create event. `false` if there is none.
    pub(crate) fn serve_creation(&mut self) -> bool {
        let Some(id) = self.creating.pop_front() else {
            return false;
        };
        let Some(disk) = self.disks.get_mut(id) else {
            return true;
        };
        if disk.state != DiskState::Queued {
            return true;
        }
        disk.state = DiskState::Live;
        let name = disk.name.clone();
        let class = disk.params.class;
        let geom = self.add_geom(Kind::Disk { disk: id, class }, name, 1);
        if let Some(disk) = self.disks.get_mut(id) {
            disk.geom = Some(geom);
        }
        self.add_disk_provider(id);
        true
    }

    /// Makes the provider of a disk as its record describes it now.
    pub(crate) fn add_disk_provider(&mut self, id: DiskId) {
        let Some(disk) = self.disks.get(id) else {
            return;
        };
        let Some(geom) = disk.geom else { return };
        let below = disk.stand.as_ref();
        let below = below.and_then(|stand| self.provider_of(stand.consumer));
        let new = NewProvider {
            name: disk.name.clone(),
            media_size: disk.params.media_size,
            sector_size: disk.params.sector_size,
            stripe_size: disk.params.stripe_size,
            base: Base {
                disk: id,
                offset: 0,
            },
            outer: below.map(|below| below.outer.clone()).unwrap_or_default(),
            slice: None,
        };
        let provider = self.add_provider(geom, new);
        if let Some(disk) = self.disks.get_mut(id) {
            disk.provider = Some(provider);
        }
    }

    /// Loses a disk, in whatever state. A second time is nothing. Allocates nothing.
    pub(crate) fn lose(&mut self, id: DiskId) {
        let Some(disk) = self.disks.get_mut(id) else {
            return;
        };
        match disk.state {
            DiskState::Queued => {
                disk.state = DiskState::Draining;
                self.creating.retain(|queued| *queued != id);
                self.advance(id);
            }
            DiskState::Live => {
                disk.state = DiskState::Failing;
                if !disk.sending {
                    disk.sending = true;
                    self.sending.push_back(id);
                }
                if let Some(geom) = disk.geom {
                    self.wither(geom, Errno::NoDevice);
                }
            }
            DiskState::Failing | DiskState::Draining | DiskState::Detached | DiskState::Gone => {}
        }
    }

    /// Frees the record of a disk that is gone and destroyed.
    pub(crate) fn free_disk(&mut self, id: DiskId) {
        let free = |disk: &DiskRecord| disk.destroyed && disk.state == DiskState::Gone;
        if self.disks.get(id).is_some_and(free) {
            self.disks.remove(id);
            self.freed += 1;
        }
    }
}

impl Mesh {
    /// Tells the next driver that its disk is gone. `false` if there is none to tell.
    pub(crate) fn serve_departure(&self) -> bool {
        let mut graph = self.graph.borrow_mut();
        let Some(id) = graph.departing.front().copied() else {
            return false;
        };
        let Some(door) = graph.disks.get(id).map(|disk| disk.door.clone()) else {
            graph.departing.pop_front();
            return true;
        };
        if !door.is_free() {
            return false;
        }
        graph.departing.pop_front();
        if let Some(disk) = graph.disks.get_mut(id) {
            disk.state = DiskState::Gone;
        }
        graph.set_timer(id, None);
        graph.gone += 1;
        drop(graph);
        door.gone();
        self.graph.borrow_mut().free_disk(id);
        true
    }

    /// Sends on the next disk that waits for it. `false` if there is none.
    pub(crate) fn serve_sending(&self) -> bool {
        let Some(id) = self.graph.borrow_mut().sending.pop_front() else {
            return false;
        };
        if let Some(disk) = self.graph.borrow_mut().disks.get_mut(id) {
            disk.sending = false;
        }
        self.send(id);
        true
    }

    /// Closes the drivers whose last holder is gone. Those that are busy are closed later.
    pub(crate) fn serve_closes(&self) -> bool {
        let mut any = false;
        let waiting = self.graph.borrow().closing.len();
        for _ in 0..waiting {
            any |= self.close_next();
        }
        any
    }

    fn close_next(&self) -> bool {
        let mut graph = self.graph.borrow_mut();
        let Some(id) = graph.closing.front().copied() else {
            return false;
        };
        let held = graph.is_held(id);
        let Some(disk) = graph.disks.get_mut(id) else {
            graph.closing.pop_front();
            return true;
        };
        if held || !disk.door.is_free() {
            disk.close_due &= !held;
            let busy = disk.close_due;
            graph.closing.pop_front();
            if busy {
                graph.closing.push_back(id);
            }
            return held;
        }
        disk.close_due = false;
        let door = disk.door.clone();
        graph.closing.pop_front();
        drop(graph);
        door.close();
        let mut graph = self.graph.borrow_mut();
        if let Some(disk) = graph.disks.get_mut(id) {
            disk.open = false;
        }
        graph.advance(id);
        true
    }
}
