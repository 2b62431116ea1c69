//! The driver's hold on its disk.

use alloc::rc::Weak;
use alloc::vec::Vec;

use crate::disk::params::{DiskLimits, check_sizes};
use crate::disk::{DiskError, DiskState};
use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::{DiskId, ProviderId};
use crate::mesh::Mesh;

/// A created disk. Dropping it destroys the disk.
///
/// No method waits, and none calls the driver: what they set off happens in the next
/// [`Geom::poll`](crate::Geom::poll). Once the disk is lost the others return [`DiskError::Gone`].
pub struct DiskHandle {
    mesh: Weak<Mesh>,
    id: DiskId,
}

impl DiskHandle {
    pub(crate) fn new(mesh: Weak<Mesh>, id: DiskId) -> Self {
        Self { mesh, id }
    }

    /// The disk's id.
    #[must_use]
    pub fn id(&self) -> DiskId {
        self.id
    }

    /// Where the disk is in its life; `None` when its record is freed.
    #[must_use]
    pub fn state(&self) -> Option<DiskState> {
        let mesh = self.mesh.upgrade()?;
        let graph = mesh.graph.borrow();
        graph.disks.get(self.id).map(|disk| disk.state)
    }

    /// The device is lost or must go. See [Leaving](crate::disk). May be called in every state and
    /// any number of times; allocates nothing.
    pub fn gone(&self) {
        if let Some(mesh) = self.mesh.upgrade() {
            mesh.graph.borrow_mut().lose(self.id);
            mesh.inbox.ring();
        }
    }

    /// [`gone`](Self::gone), and the record is not needed any more: it is freed after the driver's
    /// `gone` has run.
    ///
    /// # Errors
    /// [`DiskError::Destroyed`] the second time.
    pub fn destroy(&self) -> Result<(), DiskError> {
        let mesh = self.mesh.upgrade().ok_or(DiskError::Destroyed)?;
        let mut graph = mesh.graph.borrow_mut();
        let disk = graph.disks.get_mut(self.id).ok_or(DiskError::Destroyed)?;
        if core::mem::replace(&mut disk.destroyed, true) {
            return Err(DiskError::Destroyed);
        }
        graph.lose(self.id);
        graph.free_disk(self.id);
        drop(graph);
        mesh.inbox.ring();
        Ok(())
    }

    /// The media has another size, in bytes, the content of the common part being the same. From
    /// this call on no request reaches the driver that ends beyond it. Partitions that no longer
    /// fit are lost, the table is looked at again, all others stay open.
    ///
    /// # Errors
    /// [`DiskError::MediaSize`], [`DiskError::Gone`].
    pub fn resize(&self, media_size: u64) -> Result<(), DiskError> {
        self.change(|graph, id| {
            let disk = graph.disks.get_mut(id).ok_or(DiskError::Gone)?;
            check_sizes(media_size, disk.params.sector_size)?;
            disk.params.media_size = media_size;
            if let Some(provider) = disk.provider {
                graph.post(provider, |pending| pending.resize = true);
            }
            Ok(())
        })
    }

    /// The media was replaced by one of other sizes. If the sector size differs, holders lose the
    /// old provider, and a new one of the same name takes its place; otherwise this is
    /// [`resize`](Self::resize) and [`media_changed`](Self::media_changed).
    ///
    /// # Errors
    /// [`DiskError::MediaSize`], [`DiskError::SectorSize`], [`DiskError::Gone`];
    /// [`DiskError::MaxIo`] and [`DiskError::DeleteGranularity`] if the limits do not fit the
    /// sector size.
    pub fn replace_media(&self, media_size: u64, sector_size: u32) -> Result<(), DiskError> {
        self.change(|graph, id| {
            let disk = graph.disks.get_mut(id).ok_or(DiskError::Gone)?;
            check_sizes(media_size, sector_size)?;
            disk.params.limits.check(sector_size)?;
            let same = disk.params.sector_size == sector_size;
            disk.params.media_size = media_size;
            disk.params.sector_size = sector_size;
            let Some(provider) = disk.provider else {
                return Ok(());
            };
            if same {
                graph.post(provider, |pending| pending.resize = true);
                graph.change_media(provider);
            } else {
                graph.orphan(provider, Errno::NoDevice);
                graph.add_disk_provider(id);
            }
            Ok(())
        })
    }

    /// The media has other content. Whatever was found on it is lost, and it is tasted again.
    ///
    /// # Errors
    /// [`DiskError::Gone`].
    pub fn media_changed(&self) -> Result<(), DiskError> {
        self.change(|graph, id| {
            let provider = graph.disks.get(id).and_then(|disk| disk.provider);
            if let Some(provider) = provider {
                graph.change_media(provider);
            }
            Ok(())
        })
    }

    /// The disk can do more or less than before. Requests that wait are split anew; those the
    /// driver has stay as they are.
    ///
    /// # Errors
    /// [`DiskError::MaxIo`], [`DiskError::DeleteGranularity`], [`DiskError::Gone`].
    pub fn set_limits(&self, limits: DiskLimits) -> Result<(), DiskError> {
        self.change(|graph, id| {
            let disk = graph.disks.get_mut(id).ok_or(DiskError::Gone)?;
            limits.check(disk.params.sector_size)?;
            disk.params.limits = limits;
            graph.raise_all(id);
            Ok(())
        })
    }

    /// An attribute that the driver answers itself has another value. Holders see the provider's
    /// generation rise and may ask again.
    ///
    /// # Errors
    /// [`DiskError::Gone`].
    pub fn attr_changed(&self) -> Result<(), DiskError> {
        self.change(|graph, id| {
            graph.raise_all(id);
            Ok(())
        })
    }

    /// Runs a change if the disk is not lost, and asks for a poll.
    fn change(
        &self,
        work: impl FnOnce(&mut Graph, DiskId) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let mesh = self.mesh.upgrade().ok_or(DiskError::Gone)?;
        let mut graph = mesh.graph.borrow_mut();
        if !graph.disks.get(self.id).is_some_and(|disk| disk.is_live()) {
            return Err(DiskError::Gone);
        }
        work(&mut graph, self.id)?;
        drop(graph);
        mesh.inbox.ring();
        Ok(())
    }
}

impl Drop for DiskHandle {
    fn drop(&mut self) {
        let _ = self.destroy();
    }
}

impl Graph {
    /// Spoils everything found on a provider, and on what stands on it, and has it tasted again.
    fn change_media(&mut self, id: ProviderId) {
        self.raise_generation(id);
        let Some(provider) = self.providers.get(id) else {
            return;
        };
        let mut above = Vec::new();
        for id in &provider.consumers {
            above.extend(self.standing_disk(*id));
            let Some(consumer) = self.consumers.get_mut(*id) else {
                continue;
            };
            let node = self.geoms.get(consumer.geom);
            if node.is_some_and(crate::node::Node::is_told) && !consumer.orphan {
                consumer.spoiled = true;
            }
        }
        self.post(id, |pending| {
            pending.spoil = true;
            pending.taste = true;
        });
        let above = above.iter().filter_map(|id| self.disks.get(*id)?.provider);
        let above: Vec<ProviderId> = above.collect();
        above.into_iter().for_each(|id| self.change_media(id));
    }
}
