//! A connection: the rings shared with the backend, and the disk made of them.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::pin::pin;

use exec::{Executor, Level, info};
use futures_util::{FutureExt, select_biased};
use geom::disk::{DISK_VERSION, DiskHandle, DiskLimits, DiskParams};
use geom::{Errno, Geom};
use hv::{Hypervisor, PAGE_SIZE};
use pv::Pv;
use xenbus::Frontend;

use crate::disk::{Door, Vbd};
use crate::fault::Fault;
use crate::feature::Features;
use crate::late::Late;
use crate::medium::Medium;
use crate::queues::{Keys, Peer, Queues};

/// From the publishing of the rings to the leaving of the disk.
pub(crate) struct Link<H: Hypervisor> {
    pub(crate) queues: Queues<H>,
    pub(crate) door: Rc<Door>,
    /// From Connected on, and only if there is a medium.
    disk: Option<(DiskHandle, Medium)>,
    late: Late<H>,
}

/// A disk that waits for a connection in the domain's new life.
pub(crate) struct Kept {
    disk: DiskHandle,
    medium: Medium,
    pub(crate) door: Rc<Door>,
}

impl Kept {
    /// Fails what waits, and tells GEOM that the disk must go.
    pub(crate) fn give_up(self) {
        self.door.close();
        self.disk.gone();
    }
}

/// Who a link is for.
pub(crate) struct Identity {
    /// `xbd0`.
    pub(crate) name: String,
    pub(crate) unit: u32,
    /// The device's number.
    pub(crate) number: u32,
}

/// Features cut to what GEOM is told of a disk with sectors of `sector_size` bytes.
fn limits(features: Features, sector_size: u32) -> DiskLimits {
    let granularity = features.discard.map_or(0, |discard| discard.granularity);
    DiskLimits {
        max_io: (features.segments * PAGE_SIZE) as u64,
        // A request names any number of sectors.
        max_delete: u64::MAX,
        can_delete: features.discard.is_some(),
        can_flush: features.flush || features.barrier,
        can_erase: features.discard.is_some_and(|discard| discard.secure),
        delete_granularity: if granularity > sector_size.into() {
            granularity
        } else {
            0
        },
    }
}

impl<H: Hypervisor> Link<H> {
    /// Takes the pages and the ports that a connection needs, and returns the nodes that tell the
    /// backend of them.
    pub(crate) fn new(
        pv: &Pv<H>,
        frontend: &Frontend,
        identity: &Identity,
        features: Features,
        trusted: bool,
        late: Late<H>,
        door: Rc<Door>,
    ) -> Result<(Self, Keys), Fault> {
        let peer = Peer {
            domain: frontend.backend_domain(),
            trusted,
            name: &identity.name,
            device: identity.number,
        };
        let (queues, keys) = Queues::new(pv, peer, features)?;
        let this = Self {
            queues,
            door,
            disk: None,
            late,
        };
        Ok((this, keys))
    }

    /// Makes GEOM's disk over rings that the backend serves, or changes the one there is.
    pub(crate) fn set_medium(
        &mut self,
        pv: &Pv<H>,
        geom: &Geom,
        identity: &Identity,
        medium: Medium,
    ) -> Result<(), Fault> {
        let name = &identity.name;
        let features = self.queues.features().with_sectors(medium.sector_size);
        self.queues.set_features(features);
        let Some((disk, known)) = &mut self.disk else {
            if medium.size == 0 {
                let text = format_args!("no medium: the backend has 0 sectors");
                pv.log.limited(Level::Info, name, text);
                return Ok(());
            }
            let disk = self.create(pv, geom, identity, medium)?;
            self.disk = Some((disk, medium));
            return Ok(());
        };
        if known.read_only != medium.read_only {
            let text = format_args!("write permission changed; it is taken at the next connection");
            pv.log.limited(Level::Warn, name, text);
        }
        let medium = Medium {
            read_only: known.read_only,
            ..medium
        };
        if *known == medium {
            return Ok(());
        }
        if known.sector_size == medium.sector_size {
            disk.resize(medium.size)
        } else {
            // What waits is counted in the sectors of the medium that was there.
            self.door.fail_waiting();
            // Extents that fit the sectors of one medium need not fit those of the other.
            let either = Features {
                discard: None,
                ..features
            };
            disk.set_limits(limits(either, medium.sector_size))
                .and_then(|()| disk.replace_media(medium.size, medium.sector_size))
                .and_then(|()| disk.set_limits(limits(features, medium.sector_size)))
        }
        .map_err(Fault::Disk)?;
        let (size, sector_size) = (medium.size, medium.sector_size);
        let text = format_args!("now {size} bytes, {sector_size}-byte sectors");
        pv.log.limited(Level::Info, name, text);
        *known = medium;
        Ok(())
    }

    fn create(
        &self,
        pv: &Pv<H>,
        geom: &Geom,
        identity: &Identity,
        medium: Medium,
    ) -> Result<DiskHandle, Fault> {
        let features = self.queues.features();
        let params = DiskParams {
            version: DISK_VERSION,
            sector_size: medium.sector_size,
            stripe_size: u64::from(medium.physical_sector_size),
            limits: limits(features, medium.sector_size),
            read_only: medium.read_only,
            ident: format!("vbd-{}", identity.number),
            description: String::from(if medium.removable {
                "Xen vbd, removable"
            } else {
                "Xen vbd"
            }),
            ..DiskParams::new("xbd", identity.unit, medium.size)
        };
        let vbd = Vbd::new(identity.name.clone(), self.door.clone(), pv.log.clone());
        let disk = geom
            .disk_create(params, Box::new(vbd))
            .map_err(Fault::Disk)?;
        info!(
            pv.log,
            &identity.name,
            "vbd {}: {} bytes, {}-byte sectors{}, {features}",
            identity.number,
            medium.size,
            medium.sector_size,
            if medium.read_only { ", read-only" } else { "" },
        );
        Ok(disk)
    }

    /// Takes the answers there are and sends what waits. Returns how many answers there were.
    pub(crate) fn turn(&mut self) -> Result<usize, Fault> {
        let mut waiting = self.door.waiting().borrow_mut();
        let answers = self
            .queues
            .finish(&mut waiting)
            .map_err(Fault::Misbehaviour)?;
        // What waits since a former life is for a backend that has said what it can.
        if self.disk.is_some() && !self.door.is_held() {
            self.queues.start(&mut waiting);
        }
        drop(waiting);
        if answers.withdrew
            && let Some((disk, medium)) = &self.disk
        {
            // A disk that is gone already has no use for limits.
            let _gone = disk.set_limits(limits(self.queues.features(), medium.sector_size));
        }
        Ok(answers.count)
    }

    /// Serves requests until the backend breaks the protocol or, if `draining`, none is left.
    /// Loses nothing when it is dropped.
    pub(crate) async fn serve(&mut self, exec: &Executor, draining: bool) -> Result<(), Fault> {
        loop {
            let rang = {
                let mut event = pin!(self.queues.event(exec).fuse());
                let mut work = pin!(self.door.work().notified().fuse());
                select_biased! {
                    () = event => true,
                    () = work => false,
                }
            };
            let answered = self.turn()?;
            // An event must have brought something; a backend that goes on without is heard ever
            // more rarely.
            if rang {
                self.queues.count_event(answered != 0);
            }
            if draining && self.queues.outstanding() == 0 {
                return Ok(());
            }
        }
    }

    /// The connection is of a former life of the domain: lets go of it, and keeps the disk.
    pub(crate) fn lose(self) -> Option<Kept> {
        let Self {
            queues,
            door,
            disk,
            late,
        } = self;
        late.leave(queues.abandon(Errno::NoDevice));
        // One that takes nothing any more is about to go.
        let (disk, medium) = disk.filter(|_| door.is_open())?;
        Some(Kept { disk, medium, door })
    }

    /// Has the disk of a former life of the domain be that of this connection.
    pub(crate) fn take_over(&mut self, kept: Kept, medium: Medium) -> Result<(), Fault> {
        if kept.medium.read_only != medium.read_only || medium.size == 0 {
            kept.give_up();
            self.door = Rc::default();
            return Ok(());
        }
        let (disk, _) = self.disk.insert((kept.disk, kept.medium));
        if kept.medium.sector_size != medium.sector_size {
            // The limits change with the medium.
            return Ok(());
        }
        let features = self.queues.features().with_sectors(medium.sector_size);
        disk.set_limits(limits(features, medium.sector_size))
            .map_err(Fault::Disk)
    }

    /// Refuses new requests and tells GEOM that the disk must go.
    pub(crate) fn refuse(&mut self) {
        self.door.close();
        if let Some((disk, _)) = &self.disk {
            disk.gone();
        }
    }

    /// Fails what has no answer and lets go of everything, but for the pages that the backend still
    /// maps or may still come to: those are parked. Allocates nothing.
    pub(crate) fn leave(mut self) {
        self.refuse();
        self.late.leave(self.queues.abandon(Errno::NoDevice));
    }
}

#[cfg(test)]
mod tests;
