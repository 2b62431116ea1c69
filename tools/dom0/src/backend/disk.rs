//! The disk's bytes: a file.

use crate::xen::mapping::Mapping;
use anyhow::{Context, Result};
use hv::{PAGE_SIZE, SharedMem};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use xen_abi::io::blkif::{LAST_SECTOR_IN_PAGE, SECTOR_SIZE, Segment};

/// A disk of whole sectors of 512 bytes.
pub(super) struct Disk {
    file: File,
    sectors: u64,
}

/// Which way data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the disk to the guest's pages.
    Read,
    /// From the guest's pages to the disk.
    Write,
}

impl Disk {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).open(path);
        let file = file.with_context(|| path.display().to_string())?;
        let sectors = file.metadata()?.len() / SECTOR_SIZE;
        Ok(Self { file, sectors })
    }

    /// Its size in sectors of 512 bytes.
    pub(super) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Moves the sectors from `sector` on, as `segments` have it; their pages are mapped in a row.
    pub(super) fn transfer(
        &self,
        direction: Direction,
        mut sector: u64,
        segments: &[Segment],
        pages: &Mapping,
    ) -> io::Result<()> {
        for (index, segment) in segments.iter().enumerate() {
            let (at, count) = range(segment).ok_or(io::ErrorKind::InvalidInput)?;
            let end = sector.checked_add(count);
            if end.is_none_or(|end| end > self.sectors) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let place = index * PAGE_SIZE + at;
            let mut bytes = vec![0; (count * SECTOR_SIZE) as usize];
            match direction {
                Direction::Read => {
                    self.file.read_exact_at(&mut bytes, sector * SECTOR_SIZE)?;
                    pages.write(place, &bytes);
                }
                Direction::Write => {
                    pages.read(place, &mut bytes);
                    self.file.write_all_at(&bytes, sector * SECTOR_SIZE)?;
                }
            }
            sector += count;
        }
        Ok(())
    }

    /// Makes all that was written durable.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Where in its page a segment begins, in bytes, and how many sectors it has.
fn range(segment: &Segment) -> Option<(usize, u64)> {
    let (first, last) = (segment.first_sect, segment.last_sect);
    let possible = first <= last && last <= LAST_SECTOR_IN_PAGE;
    possible.then(|| {
        let at = usize::from(first) * SECTOR_SIZE as usize;
        (at, u64::from(last - first) + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_outside_a_page_are_refused() {
        let segment = |first_sect, last_sect| Segment {
            gref: 8,
            first_sect,
            last_sect,
        };
        assert_eq!(range(&segment(0, 7)), Some((0, 8)));
        assert_eq!(range(&segment(7, 7)), Some((3584, 1)));
        assert_eq!(range(&segment(3, 2)), None);
        assert_eq!(range(&segment(0, 8)), None);
    }
}
