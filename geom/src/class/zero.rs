//! ZERO: disks that read as zeros and swallow what is written, `zero0`, `zero1`, ...

use alloc::boxed::Box;
use alloc::string::String;

use crate::bio::{Command, DiskBio, Piece};
use crate::disk::{Disk, DiskError, DiskLimits, DiskParams};
use crate::errno::Errno;
use crate::made::Made;
use crate::memory::Buffer;
use crate::mesh::Geom;

/// Bytes of a disk if nobody says how many: 1 EiB, as of FreeBSD's gzero.
pub const ZERO_SIZE: u64 = 1 << 60;

/// Bytes of the zeros that are copied from if the embedder has no pages.
const HEAP_PAGE: usize = 4096;

struct ZeroDisk {
    zeros: Buffer,
}

impl ZeroDisk {
    fn carry_out(&self, piece: &Piece) -> Result<(), Errno> {
        match piece.command {
            Command::Read => self.read(&piece.data),
            Command::Write | Command::Delete | Command::Erase | Command::Flush => Ok(()),
        }
    }

    fn read(&self, data: &Buffer) -> Result<(), Errno> {
        for at in (0..data.len()).step_by(self.zeros.len()) {
            let length = self.zeros.len().min(data.len() - at);
            let zeros = self.zeros.part(0..length).map_err(|_| Errno::Io)?;
            data.copy_from(at, &zeros).map_err(|_| Errno::Io)?;
        }
        Ok(())
    }
}

impl Disk for ZeroDisk {
    fn strategy(&mut self, bio: DiskBio) {
        let result = self.carry_out(&bio);
        bio.complete(result);
    }

    fn at_once(&mut self, request: &Piece) -> Option<Result<(), Errno>> {
        Some(self.carry_out(request))
    }

    fn gone(self: Box<Self>) {}
}

impl Geom {
    /// Makes a disk of `size` bytes ([`ZERO_SIZE`] for one without bounds) that is all zeros, and
    /// returns its name. [`destroy`](Self::destroy) with `ZERO` ends it.
    ///
    /// # Errors
    /// [`DiskError::MediaSize`].
    pub fn zero_create(&self, size: u64) -> Result<String, DiskError> {
        let pages = self.mesh().pages.borrow();
        let zeros = match &*pages {
            Some(pages) => Buffer::over(pages.zero.clone()),
            None => Buffer::zeroed(HEAP_PAGE),
        };
        drop(pages);
        let params = DiskParams {
            class: "ZERO",
            limits: DiskLimits {
                max_io: 16 << 20,
                max_delete: 0,
                can_delete: true,
                can_flush: true,
                can_erase: true,
                delete_granularity: 0,
            },
            description: String::from("zeros"),
            ..DiskParams::new("zero", 0, size)
        };
        let driver = Box::new(ZeroDisk { zeros });
        self.mesh().make(params, None, driver, Made::Zero)
    }
}
