//! Making NOPs, changing them, and listing them.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::made::Made;
use crate::mesh::Geom;

use super::disk::NopDisk;
use super::{Fault, MILLION, NopCounts, NopError, Tap};

/// A NOP, as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NopParams {
    /// Where on the provider below it starts, in bytes; whole sectors.
    pub offset: u64,
    /// Its bytes, whole sectors; `None` for all to the end.
    pub size: Option<u64>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Where chance starts: the same seed and the same requests have the same end.
    pub seed: u64,
}

/// A NOP, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NopInfo {
    /// Such as `xbd0.nop`.
    pub name: String,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What it has seen and done.
    pub counts: NopCounts,
}

impl Geom {
    /// Makes a NOP on the live provider `below`, called as that with `.nop` behind it, and returns
    /// its name.
    /// [`destroy`](Self::destroy) with `NOP` ends it; it is lost with the provider below.
    ///
    /// # Errors
    /// [`NopError`].
    pub fn nop_create(&self, below: &str, params: &NopParams) -> Result<String, NopError> {
        check(&params.faults)?;
        let found = self.provider(below).map(|provider| provider.name);
        let below = &*found.ok_or_else(|| NopError::NotFound(below.into()))?;
        let name = format!("{below}.nop");
        let tap = Rc::new(Tap::new(params.faults.clone(), params.seed));
        let driver = tap.clone();
        let created = self.mesh().create_standing(
            (&name, "NOP"),
            below,
            (params.offset, params.size),
            |below| Box::new(NopDisk::new(below, driver)),
        );
        let disk = created.map_err(|error| NopError::of(error, below, &name))?;
        if let Some(record) = self.mesh().graph.borrow_mut().disks.get_mut(disk) {
            record.made = Some(Made::Nop(tap));
        }
        Ok(name)
    }

    /// Has other things go wrong on the NOP of that name.
    ///
    /// # Errors
    /// [`NopError::NotFound`], [`NopError::Rate`].
    pub fn nop_configure(&self, name: &str, faults: &[Fault]) -> Result<(), NopError> {
        check(faults)?;
        self.tap(name)?.configure(faults.to_vec());
        Ok(())
    }

    /// Has the NOP of that name count from 0 again.
    ///
    /// # Errors
    /// [`NopError::NotFound`].
    pub fn nop_reset(&self, name: &str) -> Result<(), NopError> {
        self.tap(name)?.reset();
        Ok(())
    }

    /// All NOPs, the oldest first.
    #[must_use]
    pub fn nops(&self) -> Vec<NopInfo> {
        let graph = self.graph();
        let info = |(id, made): (_, &Made)| {
            let (disk, Made::Nop(tap)) = (graph.disks.get(id)?, made) else {
                return None;
            };
            Some(NopInfo {
                name: String::from(&*disk.name),
                faults: tap.faults(),
                counts: tap.counts(),
            })
        };
        graph.made().filter_map(info).collect()
    }

    fn tap(&self, name: &str) -> Result<Rc<Tap>, NopError> {
        let graph = self.graph();
        let found = graph.made_disk("NOP", name);
        match found.and_then(|id| graph.disks.get(id)?.made.as_ref()) {
            Some(Made::Nop(tap)) => Ok(tap.clone()),
            _ => Err(NopError::NotFound(name.into())),
        }
    }
}

fn check(faults: &[Fault]) -> Result<(), NopError> {
    let wrong = faults.iter().find(|fault| fault.rate > MILLION);
    wrong.map_or(Ok(()), |fault| Err(NopError::Rate(fault.rate)))
}
