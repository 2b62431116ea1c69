//! Disks that are made on request and not by a device's driver: MD, ZERO, NOP.
//!
//! Nobody holds a handle of one. It is destroyed by name, and then leaves like any lost disk.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::class::md::Store;
use crate::class::nop::Tap;
use crate::disk::{Disk, DiskError, DiskParams};
use crate::graph::Graph;
use crate::id::DiskId;
use crate::mesh::{Geom, Mesh};

/// What a class keeps of a disk that it made.
pub(crate) enum Made {
    Md(Rc<Store>),
    Zero,
    Nop(Rc<Tap>),
}

impl Made {
    /// A name for people that may stand for its own.
    pub(crate) fn label(&self) -> Option<&str> {
        match self {
            Self::Md(store) => Some(&*store.label).filter(|label| !label.is_empty()),
            Self::Zero | Self::Nop(_) => None,
        }
    }

    /// What dumps tell about it: key and value.
    pub(crate) fn config(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Md(store) => store.config(),
            Self::Zero => Vec::new(),
            Self::Nop(tap) => tap.config(),
        }
    }
}

/// Why a disk was not destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestroyError {
    /// No disk of that class and name was made on request, or it is leaving already.
    NotFound {
        /// The class asked for.
        class: &'static str,
        /// The name asked for.
        name: String,
    },
    /// Somebody has it open.
    Held {
        /// Its name.
        name: String,
        /// Who, such as `PART md0 (md0p1 held by shell)`.
        holder: String,
    },
}

impl fmt::Display for DestroyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { class, name } => write!(f, "there is no {class} disk {name}"),
            Self::Held { name, holder } => write!(f, "{name} is held by {holder}"),
        }
    }
}

impl core::error::Error for DestroyError {}

impl Geom {
    /// Destroys the disk `name` that `class` (`MD`, `ZERO`, `NOP`) made on request. With `force`
    /// also while it is held: holders lose it as they lose any disk.
    ///
    /// # Errors
    /// [`DestroyError`]; nothing is changed then.
    pub fn destroy(
        &self,
        class: &'static str,
        name: &str,
        force: bool,
    ) -> Result<(), DestroyError> {
        let mut graph = self.mesh().graph.borrow_mut();
        let found = graph.made_disk(class, name);
        let id = found.ok_or_else(|| DestroyError::NotFound {
            class,
            name: String::from(name),
        })?;
        let holder = graph.holder_of_disk(id).filter(|_| !force);
        if let Some(holder) = holder {
            return Err(DestroyError::Held {
                name: String::from(name),
                holder,
            });
        }
        graph.lose(id);
        drop(graph);
        self.mesh().inbox.ring();
        Ok(())
    }
}

impl Mesh {
    /// Makes a disk of a class, under the unit given or the first free one, and returns its name.
    pub(crate) fn make(
        &self,
        mut params: DiskParams,
        unit: Option<u32>,
        driver: Box<dyn Disk>,
        made: Made,
    ) -> Result<String, DiskError> {
        let mut graph = self.graph.borrow_mut();
        params.unit = unit.unwrap_or_else(|| graph.free_unit(&params.name));
        let id = graph.create_disk(params, driver)?;
        let disk = graph.disks.get_mut(id).ok_or(DiskError::Gone)?;
        (disk.destroyed, disk.made) = (true, Some(made));
        let name = String::from(&*disk.name);
        drop(graph);
        self.inbox.ring();
        Ok(name)
    }
}

impl Graph {
    /// All live disks that were made on request, the oldest first.
    pub(crate) fn made(&self) -> impl Iterator<Item = (DiskId, &Made)> {
        let disks = self.disks.sorted().into_iter();
        let live = disks.filter(|(_, disk)| disk.is_live());
        live.filter_map(|(id, disk)| Some((id, disk.made.as_ref()?)))
    }

    /// The live disk of that name that a class made on request.
    pub(crate) fn made_disk(&self, class: &str, name: &str) -> Option<DiskId> {
        let mut disks = self.disks.iter();
        let found = disks.find(|(_, disk)| {
            let made = disk.made.is_some() && disk.params.class == class;
            made && *disk.name == *name && disk.is_live()
        });
        found.map(|(id, _)| id)
    }

    /// The lowest unit that no live disk of that driver has.
    fn free_unit(&self, driver: &str) -> u32 {
        let taken = |unit: u32| {
            let name = format!("{driver}{unit}");
            let mut disks = self.disks.values();
            disks.any(|disk| *disk.name == *name && disk.is_live())
        };
        (0..u32::MAX).find(|unit| !taken(*unit)).unwrap_or(u32::MAX)
    }

    /// Who has a provider of a disk open, in words. A taste does not count.
    fn holder_of_disk(&self, id: DiskId) -> Option<String> {
        let geom = self.geoms.get(self.disks.get(id)?.geom?)?;
        let providers = geom.providers.iter();
        let providers = providers.filter_map(|id| self.providers.get(*id));
        let mut consumers = providers.flat_map(|provider| &provider.consumers);
        let holder = consumers.find(|id| {
            let consumer = self.consumers.get(**id);
            consumer.is_some_and(|consumer| !consumer.tastes && !consumer.counts.is_closed())
        });
        holder.map(|id| self.holder(*id))
    }
}
