//! Which namespaces a controller has, and the disks that are made of them.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use exec::{Level, info, warn};
use geom::disk::{DISK_VERSION, DiskHandle, DiskParams};
use hv::Hypervisor;

use crate::command::{CNS_ACTIVE, CNS_NAMESPACE};
use crate::completion::Status;
use crate::controller::Controller;
use crate::door::Nvd;
use crate::fault::{Fault, Misbehaviour};
use crate::identify::controller::ControllerFacts;
use crate::identify::list::{active, all};
use crate::identify::namespace::NamespaceFacts;
use crate::offer::Offer;

/// A namespace that is a disk.
pub(crate) struct Namespace {
    id: u32,
    facts: NamespaceFacts,
    unit: u32,
    name: String,
    open: Rc<Cell<bool>>,
    disk: DiskHandle,
}

impl<H: Hypervisor> Controller<H> {
    /// Finds out which namespaces there are, and makes disks of new ones; those that are not there
    /// any more leave.
    pub(crate) async fn scan(&self, facts: &ControllerFacts) -> Result<(), Fault> {
        let (ids, more) = self.numbers(facts).await?;
        if more {
            let name = &self.name;
            warn!(
                self.pv.log,
                name,
                "only the first {} namespaces are used",
                ids.len()
            );
        }
        let known: Vec<u32> = self.namespaces.borrow().iter().map(|one| one.id).collect();
        for id in known.into_iter().filter(|id| !ids.contains(id)) {
            self.lose(id);
        }
        for id in ids {
            self.look_at(id, facts).await?;
        }
        Ok(())
    }

    /// The numbers of the namespaces there may be.
    async fn numbers(&self, facts: &ControllerFacts) -> Result<(Vec<u32>, bool), Fault> {
        if !facts.lists_active {
            return Ok(all(facts.namespaces));
        }
        match self.identify(CNS_ACTIVE, 0).await? {
            Ok(page) => active(&page, facts.namespaces)
                .map_err(|disorder| Misbehaviour::Namespaces(disorder).into()),
            Err(_unknown) => Ok(all(facts.namespaces)),
        }
    }

    /// Makes a disk of a namespace, or changes it to what the namespace is now.
    async fn look_at(&self, id: u32, facts: &ControllerFacts) -> Result<(), Fault> {
        let page = self.identify(CNS_NAMESPACE, id).await?;
        let found = match page.map(|page| NamespaceFacts::parse(&page)) {
            Ok(Ok(found)) => found,
            Ok(Err(why)) => {
                let text = format_args!("namespace {id} is no disk: {why}");
                self.pv.log.limited(Level::Warn, &self.name, text);
                self.lose(id);
                return Ok(());
            }
            // It has gone since the list was made, or never was.
            Err(status) if status.is_final() || status.code() == Status::INVALID_NAMESPACE => {
                self.lose(id);
                return Ok(());
            }
            // The controller could not say, this time.
            Err(status) => {
                let text = format_args!("namespace {id}, Identify: {status}");
                self.pv.log.limited(Level::Warn, &self.name, text);
                return Ok(());
            }
        };
        let mut resized = None;
        if let Some(known) = self
            .namespaces
            .borrow_mut()
            .iter_mut()
            .find(|known| known.id == id)
        {
            if known.facts == found {
                return Ok(());
            }
            let same = NamespaceFacts {
                size: known.facts.size,
                ..found
            };
            if known.facts == same && known.disk.resize(found.size).is_ok() {
                known.facts = found;
                resized = Some(known.name.clone());
            }
        }
        if let Some(disk) = resized {
            info!(
                self.pv.log,
                &self.name, "{disk} is now {} bytes", found.size
            );
            return Ok(());
        }
        self.lose(id);
        self.make(id, found, facts)
    }

    /// Makes a disk.
    fn make(&self, id: u32, found: NamespaceFacts, facts: &ControllerFacts) -> Result<(), Fault> {
        let unit = self.units.disks.borrow_mut().take();
        let name = format!("nvd{unit}");
        let open = Rc::new(Cell::new(true));
        let params = DiskParams {
            version: DISK_VERSION,
            sector_size: found.block,
            limits: Offer::of(facts).limits(),
            read_only: found.read_only,
            ident: format!("{}-{id}", facts.serial),
            description: facts.model.clone(),
            ..DiskParams::new("nvd", unit, found.size)
        };
        let nvd = Nvd {
            name: name.clone(),
            namespace: id,
            shift: found.block.trailing_zeros(),
            open: open.clone(),
            door: self.door.clone(),
            log: self.pv.log.clone(),
        };
        let disk = match self.geom.disk_create(params, Box::new(nvd)) {
            Ok(disk) => disk,
            Err(error) => {
                self.units.disks.borrow_mut().release(unit);
                return Err(Fault::Disk(error));
            }
        };
        let mark = if found.read_only { ", read-only" } else { "" };
        info!(
            self.pv.log,
            &name,
            "{} namespace {id}: {} bytes, {}-byte sectors{mark}",
            self.name,
            found.size,
            found.block,
        );
        self.namespaces.borrow_mut().push(Namespace {
            id,
            facts: found,
            unit,
            name,
            open,
            disk,
        });
        Ok(())
    }

    /// A namespace is gone, if it was there: so is its disk. What the controller has of it ends
    /// when it says so.
    fn lose(&self, id: u32) {
        let mut namespaces = self.namespaces.borrow_mut();
        let Some(at) = namespaces.iter().position(|known| known.id == id) else {
            return;
        };
        let lost = namespaces.swap_remove(at);
        drop(namespaces);
        lost.open.set(false);
        self.door.fail_gone();
        lost.disk.gone();
        self.units.disks.borrow_mut().release(lost.unit);
    }

    /// All disks leave. Allocates nothing.
    pub(crate) fn lose_all(&self) {
        self.door.close();
        for lost in self.namespaces.borrow_mut().drain(..) {
            lost.open.set(false);
            lost.disk.gone();
            self.units.disks.borrow_mut().release(lost.unit);
        }
    }
}
