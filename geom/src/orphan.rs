//! Losing things: orphaning providers, spoiling consumers, and washing away what withers.
//!
//! Losing a provider is one way only: it gets its error (new opens and new I/O bounce from that
//! moment), it goes to the doorstep, its consumers are told once each, and when the last of them
//! has let go it is destroyed. Nothing here allocates, and each step touches only the objects it
//! is about.

use crate::disk::DiskState;
use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::{ConsumerId, DiskId, GeomId, ProviderId};
use crate::node::Kind;
use crate::provider::Orphan;

impl Graph {
    /// Loses a provider. A second time is nothing.
    pub(crate) fn orphan(&mut self, id: ProviderId, errno: Errno) {
        let Some(provider) = self.providers.get_mut(id) else {
            return;
        };
        if provider.error.is_some() {
            return;
        }
        provider.error = Some(errno);
        provider.orphan = Orphan::Queued;
        self.doorstep.push_back(id);
    }

    /// Tells all consumers of the next lost provider. `false` if there is none.
    pub(crate) fn serve_doorstep(&mut self) -> bool {
        let Some(id) = self.doorstep.pop_front() else {
            return false;
        };
        let Some(provider) = self.providers.get_mut(id) else {
            return true;
        };
        provider.orphan = Orphan::Served;
        let (errno, geom) = (provider.error.unwrap_or(Errno::NoDevice), provider.geom);
        let mut next = 0;
        while let Some(consumer) = self.providers.get(id).and_then(|p| p.consumers.get(next)) {
            self.tell(*consumer, errno);
            next += 1;
        }
        self.wash_later(geom);
        true
    }

    /// Tells one consumer, if it was not told before.
    fn tell(&mut self, id: ConsumerId, errno: Errno) {
        let Some(consumer) = self.consumers.get_mut(id) else {
            return;
        };
        if consumer.orphan {
            return;
        }
        consumer.orphan = true;
        consumer.spoiled = false;
        consumer.orphan_calls += 1;
        let (geom, provider) = (consumer.geom, consumer.provider);
        match self.geoms.get(geom).map(|node| &node.kind) {
            Some(Kind::Slicer(_)) => self.wither(geom, errno),
            Some(Kind::Taste) => self.cancel_taste(provider),
            // An application sees the error with its next request, and lets go when it likes.
            Some(Kind::Dev { .. }) => self.notify(id),
            Some(Kind::Disk { disk, .. }) => self.lose(*disk),
            None => {}
        }
    }

    /// Tells the consumers that were marked as spoiled.
    pub(crate) fn serve_spoil(&mut self, provider: ProviderId) {
        let mut next = 0;
        while let Some(id) = self
            .providers
            .get(provider)
            .and_then(|p| p.consumers.get(next))
        {
            next += 1;
            let Some(consumer) = self.consumers.get_mut(*id) else {
                continue;
            };
            if !core::mem::take(&mut consumer.spoiled) || consumer.orphan {
                continue;
            }
            consumer.orphan = true;
            let geom = consumer.geom;
            match self.geoms.get(geom).map(|node| &node.kind) {
                Some(Kind::Slicer(_)) => self.wither(geom, Errno::NoDevice),
                Some(Kind::Taste) => self.cancel_taste(provider),
                _ => {}
            }
        }
    }

    /// Loses a geom: all its providers, and itself when nothing holds it any more.
    pub(crate) fn wither(&mut self, geom: GeomId, errno: Errno) {
        let Some(node) = self.geoms.get_mut(geom) else {
            return;
        };
        node.wither = true;
        if let Some(consumer) = node.consumer.and_then(|id| self.consumers.get_mut(id)) {
            consumer.orphan = true;
        }
        let mut next = 0;
        while let Some(provider) = self.geoms.get(geom).and_then(|n| n.providers.get(next)) {
            self.orphan(*provider, errno);
            next += 1;
        }
        self.wash_later(geom);
    }

    /// Destroys what can be destroyed of the next geom on the queue. `false` if there is none.
    pub(crate) fn wash_next(&mut self) -> bool {
        let Some(geom) = self.wash.pop_front() else {
            return false;
        };
        let Some(node) = self.geoms.get_mut(geom) else {
            return true;
        };
        node.washing = false;
        let mut next = 0;
        while let Some(id) = self
            .geoms
            .get(geom)
            .and_then(|n| n.providers.get(next))
            .copied()
        {
            if !self.destroy_provider(id) {
                next += 1;
            }
        }
        self.destroy_geom(geom);
        if let Some(Kind::Disk { disk, .. }) = self.geoms.get(geom).map(|node| &node.kind) {
            self.advance(*disk);
        }
        true
    }

    /// Destroys a provider that is lost and that nobody is attached to. `false` if it stays.
    fn destroy_provider(&mut self, id: ProviderId) -> bool {
        let Some(provider) = self.providers.get(id) else {
            return true;
        };
        if provider.orphan != Orphan::Served || !provider.consumers.is_empty() {
            return false;
        }
        let (geom, disk) = (provider.geom, provider.base.disk);
        if provider.pending.queued {
            self.ready.retain(|queued| *queued != id);
        }
        self.providers.remove(id);
        if let Some(node) = self.geoms.get_mut(geom) {
            node.providers.retain(|own| *own != id);
        }
        if let Some(disk) = self.disks.get_mut(disk) {
            disk.provider = disk.provider.filter(|current| *current != id);
        }
        true
    }

    /// Destroys a withering geom without providers whose consumer is closed and idle.
    fn destroy_geom(&mut self, geom: GeomId) {
        let Some(node) = self.geoms.get(geom) else {
            return;
        };
        if !node.wither || !node.providers.is_empty() {
            return;
        }
        if let Some(id) = node.consumer {
            let idle = |id| {
                let consumer = self.consumers.get(id)?;
                Some(consumer.counts.is_closed() && consumer.in_flight == 0)
            };
            if idle(id) == Some(false) {
                return;
            }
            self.detach(id);
        }
        let Some(node) = self.geoms.remove(geom) else {
            return;
        };
        if let Kind::Disk { disk, .. } = node.kind {
            if let Some(record) = self.disks.get_mut(disk) {
                record.geom = None;
            }
            self.advance(disk);
        }
    }

    fn detach(&mut self, id: ConsumerId) {
        let Some(consumer) = self.consumers.remove(id) else {
            return;
        };
        let Some(provider) = self.providers.get_mut(consumer.provider) else {
            return;
        };
        provider.consumers.retain(|own| *own != id);
        let geom = provider.geom;
        self.wash_later(geom);
    }

    /// Moves the teardown of a disk on as far as it can go.
    pub(crate) fn advance(&mut self, id: DiskId) {
        let Some(disk) = self.disks.get_mut(id) else {
            return;
        };
        if disk.state == DiskState::Failing {
            let unserved = |id: &ProviderId| {
                self.providers
                    .get(*id)
                    .is_some_and(|p| p.orphan != Orphan::Served)
            };
            let node = disk.geom.and_then(|geom| self.geoms.get(geom));
            if !node.is_some_and(|node| node.providers.iter().any(unserved)) {
                disk.state = DiskState::Draining;
            }
        }
        if disk.state == DiskState::Draining && disk.geom.is_none() && disk.is_idle() {
            disk.state = DiskState::Detached;
            self.departing.push_back(id);
        }
    }
}
