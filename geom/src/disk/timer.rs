//! Drivers that want to be called at some time.

use core::time::Duration;

use crate::graph::Graph;
use crate::id::DiskId;
use crate::mesh::Mesh;

impl Graph {
    /// Notes when the driver of a disk wants to be called.
    pub(crate) fn set_timer(&mut self, id: DiskId, at: Option<Duration>) {
        let Some(disk) = self.disks.get_mut(id) else {
            return;
        };
        disk.timer = at;
        let timers = self.disks.values().filter_map(|disk| disk.timer);
        self.next_timer = timers.min();
    }

    /// A disk whose driver wants to be called by now.
    fn timer_due(&self, now: Duration) -> Option<DiskId> {
        self.next_timer.filter(|at| *at <= now)?;
        let due = |disk: &crate::disk::record::DiskRecord| {
            disk.timer.is_some_and(|at| at <= now) && disk.door.is_free()
        };
        let mut disks = self.disks.iter();
        disks.find(|(_, disk)| due(disk)).map(|(id, _)| id)
    }
}

impl Mesh {
    /// Calls the next driver whose time has come. `false` if there is none.
    pub(crate) fn serve_timer(&self) -> bool {
        let now = self.now.get();
        let mut graph = self.graph.borrow_mut();
        let Some(id) = graph.timer_due(now) else {
            return false;
        };
        graph.set_timer(id, None);
        let door = graph.disks.get(id).map(|disk| disk.door.clone());
        drop(graph);
        let next = door.and_then(|door| door.timer(now));
        let mut graph = self.graph.borrow_mut();
        let asked = graph.disks.get(id).and_then(|disk| disk.timer);
        graph.set_timer(id, asked.or(next));
        drop(graph);
        self.send(id);
        true
    }
}
