//! Grants of other domains, mapped through `/dev/xen/gntdev`.

use super::ioctl::{Call, call};
use super::mapping::Mapping;
use std::fs::File;
use std::io;
use std::rc::Rc;

/// Where grants are mapped from.
pub(crate) struct Gntdev {
    device: Rc<File>,
}

impl Gntdev {
    pub(crate) fn open() -> io::Result<Self> {
        let device = File::options()
            .read(true)
            .write(true)
            .open("/dev/xen/gntdev")?;
        Ok(Self {
            device: Rc::new(device),
        })
    }

    /// Maps pages that `domain` granted for reading and writing, in a row.
    pub(crate) fn map(&self, domain: u32, references: &[u32]) -> io::Result<Mapping> {
        let count = u32::try_from(references.len()).map_err(io::Error::other)?;
        let mut words = vec![count, 0, 0, 0];
        words.extend(references.iter().flat_map(|reference| [domain, *reference]));
        call(&self.device, Call::MapGrants, &mut words)?;
        Mapping::new(&self.device, [words[2], words[3]], count, Call::UnmapGrants)
    }
}
