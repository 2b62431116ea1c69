//! A disk of another size.

use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::{GeomId, ProviderId};
use crate::node::Kind;

impl Graph {
    /// Takes over the size from the disk's record. Partitions that no longer fit are lost at once;
    /// then the provider is tasted again, with the classes that are attached to it.
    pub(crate) fn serve_resize(&mut self, id: ProviderId) {
        let Some(provider) = self.providers.get_mut(id) else {
            return;
        };
        let Some(disk) = self.disks.get(provider.base.disk) else {
            return;
        };
        let size = disk.params.media_size;
        if disk.provider != Some(id) || provider.media_size == size {
            return;
        }
        provider.media_size = size;
        self.raise_generation(id);
        let mut next = 0;
        while let Some(consumer) = self.providers.get(id).and_then(|p| p.consumers.get(next)) {
            next += 1;
            let geom = self.consumers.get(*consumer).map(|consumer| consumer.geom);
            let node = geom.and_then(|geom| self.geoms.get(geom));
            match node.map(|node| &node.kind) {
                Some(Kind::Slicer(_)) => geom.into_iter().for_each(|geom| self.clip(geom, size)),
                Some(Kind::Disk { disk, .. }) => self.follow_size(*disk, size),
                _ => {}
            }
        }
        self.post(id, |pending| {
            pending.taste = true;
            pending.refresh = true;
        });
    }

    /// Loses the providers of a slicer that reach beyond `size`.
    fn clip(&mut self, geom: GeomId, size: u64) {
        let mut next = 0;
        while let Some(id) = self
            .geoms
            .get(geom)
            .and_then(|n| n.providers.get(next))
            .copied()
        {
            next += 1;
            let slice = self
                .providers
                .get(id)
                .and_then(|provider| provider.slice.as_ref());
            if slice.is_some_and(|slice| slice.start + slice.length > size) {
                self.orphan(id, Errno::NoDevice);
            }
        }
    }
}
