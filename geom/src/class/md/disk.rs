//! The driver of a memory disk.

use alloc::boxed::Box;
use alloc::rc::Rc;

use crate::bio::{Command, DiskBio};
use crate::disk::Disk;
use crate::errno::Errno;
use crate::memory::Buffer;

use super::Store;

pub(super) struct MdDisk(pub(super) Rc<Store>);

impl Disk for MdDisk {
    fn strategy(&mut self, bio: DiskBio) {
        let result = self.carry_out(bio.command, bio.offset, bio.length, &bio.data);
        bio.complete(result);
    }

    fn at_once(
        &mut self,
        command: Command,
        offset: u64,
        length: u64,
        data: &Buffer,
    ) -> Option<Result<(), Errno>> {
        Some(self.carry_out(command, offset, length, data))
    }

    fn gone(self: Box<Self>) {}
}

impl MdDisk {
    fn carry_out(
        &self,
        command: Command,
        offset: u64,
        length: u64,
        data: &Buffer,
    ) -> Result<(), Errno> {
        match command {
            Command::Read => self.0.read(offset, data),
            Command::Write => return self.0.write(offset, data),
            Command::Delete => self.0.clear(offset, length, false),
            Command::Erase => self.0.clear(offset, length, true),
            Command::Flush => {}
        }
        Ok(())
    }
}
