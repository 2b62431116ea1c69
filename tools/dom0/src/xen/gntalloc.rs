//! Pages of dom0 that other domains may use, from `/dev/xen/gntalloc` (`xen/gntalloc.h`).

use super::ioctl::{Call, call};
use super::mapping::Mapping;
use std::fs::File;
use std::io;
use std::rc::Rc;

/// `GNTALLOC_FLAG_WRITABLE`, in the half of a word where the flags are.
const WRITABLE: u32 = 1 << 16;

/// Where pages to grant come from.
pub(crate) struct Gntalloc {
    device: Rc<File>,
}

/// Pages that another domain may use. Dropped, they are not granted any more; those it still maps
/// then are Linux's to free when it lets go of them.
pub(crate) struct Granted {
    /// One for each page.
    pub(crate) references: Vec<u32>,
    /// The pages, in a row.
    pub(crate) memory: Mapping,
}

impl Gntalloc {
    pub(crate) fn open() -> io::Result<Self> {
        let device = File::options()
            .read(true)
            .write(true)
            .open("/dev/xen/gntalloc")?;
        Ok(Self {
            device: Rc::new(device),
        })
    }

    /// Grants `domain` `count` new pages, filled with zeros. They are given back all at once.
    pub(crate) fn grant(&self, domain: u32, count: u32, writable: bool) -> io::Result<Granted> {
        let domain = u32::from(u16::try_from(domain).map_err(io::Error::other)?);
        let flags = if writable { WRITABLE } else { 0 };
        let mut words = vec![domain | flags, count, 0, 0];
        // Linux writes its whole structure, whose end is padding if there is one reference.
        words.resize(words.len() + (count as usize).max(2), 0);
        call(&self.device, Call::AllocGrefs, &mut words)?;
        let index = [words[2], words[3]];
        Ok(Granted {
            references: words[4..][..count as usize].to_vec(),
            memory: Mapping::new(&self.device, index, count, Call::DeallocGrefs)?,
        })
    }
}
