//! The driver of a memory disk.

use alloc::boxed::Box;
use alloc::rc::Rc;

use crate::bio::{Command, DiskBio, Piece};
use crate::disk::Disk;
use crate::errno::Errno;

use super::Store;

pub(super) struct MdDisk(pub(super) Rc<Store>);

impl Disk for MdDisk {
    fn strategy(&mut self, bio: DiskBio) {
        let result = self.carry_out(&bio);
        bio.complete(result);
    }

    fn at_once(&mut self, request: &Piece) -> Option<Result<(), Errno>> {
        Some(self.carry_out(request))
    }

    fn gone(self: Box<Self>) {}
}

impl MdDisk {
    fn carry_out(&self, piece: &Piece) -> Result<(), Errno> {
        let (offset, length) = (piece.offset, piece.length);
        match piece.command {
            Command::Read => self.0.read(offset, &piece.data),
            Command::Write => return self.0.write(offset, &piece.data),
            Command::Delete => self.0.clear(offset, length, false),
            Command::Erase => self.0.clear(offset, length, true),
            Command::Flush => {}
        }
        Ok(())
    }
}
