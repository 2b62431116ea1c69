//! A disk that stands on a provider: how a class works that changes what passes through it.
//!
//! A slicer only remaps, and is folded away. A class that does something to requests (NOP; later
//! ELI, and members of MIRROR) is a driver like that of any disk: its requests are queued, cut and
//! ordered, it may keep them, and it is told exactly once that it is gone. All that differs is that
//! its geom has a consumer. Access passes through that consumer with every open and close, so each
//! holder is known all the way down, and refusals name them; the loss of the provider below is the
//! loss of the disk, by the one way that disks are lost; a change of size or limits below is one
//! above. So there is no second kind of provider and no second teardown.
//!
//! A request that is passed on is the same request: the token of the upper one is the maker of the
//! lower one, and what ends the lower one ends both.

use alloc::boxed::Box;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::bio::DiskBio;
use crate::disk::door::Door;
use crate::disk::record::DiskRecord;
use crate::disk::{Attribute, Disk, DiskParams, DiskState};
use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::{ConsumerId, DiskId, ProviderId};
use crate::mesh::Mesh;
use crate::node::Kind;
use crate::provider::Provider;
use crate::request::{Maker, Order};

/// How many may stand on each other, with slicers between them.
const HIGHEST: u32 = 16;

/// The part of a provider that a disk stands on.
pub(crate) struct Stand {
    pub(crate) consumer: ConsumerId,
    /// Where it starts, in bytes.
    pub(crate) offset: u64,
    /// Its bytes; `None` for all to the end, wherever that is.
    pub(crate) length: Option<u64>,
}

/// Why no disk can stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StandError {
    NotFound,
    Lost(Errno),
    NameInUse,
    /// Not whole sectors, empty, or not inside.
    Range,
    TooHigh,
}

/// What a driver sees of the provider its disk stands on.
pub(crate) struct Below {
    mesh: Weak<Mesh>,
    disk: DiskId,
}

impl Below {
    /// Has the provider below do what `bio` asks for, and complete it.
    pub(crate) fn pass(&self, bio: DiskBio) {
        let stand = |mesh: &Mesh| {
            let graph = mesh.graph.borrow();
            let stand = graph.disks.get(self.disk)?.stand.as_ref()?;
            Some((stand.consumer, stand.offset))
        };
        let mesh = self.mesh.upgrade();
        let found = mesh.and_then(|mesh| stand(&mesh).map(|stand| (mesh, stand)));
        let Some((mesh, (consumer, offset))) = found else {
            return bio.complete(Err(Errno::NoDevice));
        };
        let (piece, token) = bio.split();
        let order = Order {
            command: piece.command,
            offset: piece.offset + offset,
            length: piece.length,
            data: piece.data,
            ordered: piece.ordered,
        };
        mesh.submit(consumer, order, Maker::Above(token));
    }

    /// Has the driver's timer called by the next poll.
    pub(crate) fn call_timer(&self) {
        if let Some(mesh) = self.mesh.upgrade() {
            let mut graph = mesh.graph.borrow_mut();
            graph.set_timer(self.disk, Some(Duration::ZERO));
            drop(graph);
            mesh.inbox.ring();
        }
    }

    /// An attribute of the provider below; `None` if nobody there knows it.
    pub(crate) fn attribute(&self, name: &str) -> Option<Result<Attribute, Errno>> {
        let mesh = self.mesh.upgrade()?;
        let provider = {
            let graph = mesh.graph.borrow();
            let stand = graph.disks.get(self.disk)?.stand.as_ref()?;
            graph.provider_of(stand.consumer)?.id
        };
        match mesh.attribute(provider, name) {
            Err(Errno::NotFound) => None,
            answer => Some(answer),
        }
    }
}

impl Mesh {
    /// Makes the disk `name` of `class`, which stands on a range of the live provider `below`: from
    /// an offset, and so many bytes or all. Nobody has a handle of it; [`Graph::lose`] makes it
    /// leave.
    pub(crate) fn create_standing(
        self: &Rc<Self>,
        (name, class): (&str, &'static str),
        below: &str,
        range: (u64, Option<u64>),
        driver: impl FnOnce(Below) -> Box<dyn Disk>,
    ) -> Result<DiskId, StandError> {
        let mut graph = self.graph.borrow_mut();
        let graph = &mut *graph;
        let (provider, params) = graph.judge_stand(name, class, below, range)?;
        graph.reserve_places();
        let serial = graph.serial();
        let late_entries = graph.late_entries.clone();
        let disk = graph.disks.add(serial, |disk| {
            let mesh = Rc::downgrade(self);
            let door = Door::new(driver(Below { mesh, disk }), late_entries);
            DiskRecord::new(name.into(), params, Rc::new(door))
        });
        graph.created += 1;
        let attached = graph.attach(Kind::Disk { disk, class }, provider);
        let (geom, consumer) = attached.map_err(StandError::Lost)?;
        let (offset, length) = range;
        if let Some(node) = graph.geoms.get_mut(geom) {
            node.name = name.into();
        }
        if let Some(record) = graph.disks.get_mut(disk) {
            (record.state, record.destroyed) = (DiskState::Live, true);
            record.geom = Some(geom);
            record.stand = Some(Stand {
                consumer,
                offset,
                length,
            });
        }
        graph.add_disk_provider(disk);
        self.inbox.ring();
        Ok(disk)
    }
}

impl Graph {
    /// Whether a disk can stand on that range, and what it is like then.
    fn judge_stand(
        &self,
        name: &str,
        class: &'static str,
        below: &str,
        (offset, length): (u64, Option<u64>),
    ) -> Result<(ProviderId, DiskParams), StandError> {
        let provider = self.find(below).ok_or(StandError::NotFound)?;
        if let Some(errno) = self.loss(provider.id) {
            return Err(StandError::Lost(errno));
        }
        if self.find(name).is_some_and(Provider::is_live) {
            return Err(StandError::NameInUse);
        }
        let rank = self.geoms.get(provider.geom).map_or(0, |node| node.rank);
        if rank >= HIGHEST {
            return Err(StandError::TooHigh);
        }
        let size = size_on(provider.media_size, offset, length);
        let size = size.filter(|size| *size > 0).ok_or(StandError::Range)?;
        let sector = u64::from(provider.sector_size);
        if !size.is_multiple_of(sector) || !offset.is_multiple_of(sector) {
            return Err(StandError::Range);
        }
        let disk = self.disks.get(provider.base.disk);
        let disk = disk.ok_or(StandError::Lost(Errno::NoDevice))?;
        let params = DiskParams {
            class,
            name: String::from(name),
            media_size: size,
            sector_size: provider.sector_size,
            stripe_size: provider.stripe_size,
            ..disk.params.clone()
        };
        Ok((provider.id, params))
    }

    /// The disk whose consumer this is, if it is one.
    pub(crate) fn standing_disk(&self, consumer: ConsumerId) -> Option<DiskId> {
        match self.node_of(consumer)?.kind {
            Kind::Disk { disk, .. } => Some(disk),
            _ => None,
        }
    }

    /// Gives a disk the size that it has now that the provider below has `size` bytes; it is lost
    /// if its range is not inside any more.
    pub(crate) fn follow_size(&mut self, id: DiskId, size: u64) {
        let Some(disk) = self.disks.get_mut(id) else {
            return;
        };
        let Some(stand) = &disk.stand else { return };
        match size_on(size, stand.offset, stand.length) {
            Some(size) => {
                disk.params.media_size = size;
                if let Some(provider) = disk.provider {
                    self.post(provider, |pending| pending.resize = true);
                }
            }
            None => self.lose(id),
        }
    }

    /// Gives all that stand on the providers of a disk its limits.
    pub(crate) fn follow_limits(&mut self, below: DiskId) {
        let Some(limits) = self.disks.get(below).map(|disk| disk.params.limits) else {
            return;
        };
        let stands = |disk: &DiskRecord| {
            let stand = disk.stand.as_ref()?;
            let provider = self.provider_of(stand.consumer)?;
            (provider.base.disk == below).then_some(())
        };
        let above = self.disks.iter().filter(|(_, disk)| stands(disk).is_some());
        let above: Vec<DiskId> = above.map(|(id, _)| id).collect();
        for id in above {
            if let Some(disk) = self.disks.get_mut(id) {
                disk.params.limits = limits;
            }
            self.raise_all(id);
        }
    }
}

/// The size of a range of a provider of `size` bytes: from an offset, and so many bytes or all that
/// are left. `None` if it is not inside.
fn size_on(size: u64, offset: u64, length: Option<u64>) -> Option<u64> {
    let rest = size.checked_sub(offset)?;
    let length = length.unwrap_or(rest);
    (length <= rest).then_some(length)
}
