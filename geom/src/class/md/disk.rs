//! The driver of a memory disk.

use alloc::boxed::Box;
use alloc::rc::Rc;

use crate::bio::{Command, DiskBio};
use crate::disk::Disk;

use super::Store;

pub(super) struct MdDisk(pub(super) Rc<Store>);

impl Disk for MdDisk {
    fn strategy(&mut self, bio: DiskBio) {
        let store = &self.0;
        let result = match bio.command {
            Command::Read => {
                store.read(bio.offset, &bio.data);
                Ok(())
            }
            Command::Write => store.write(bio.offset, &bio.data),
            Command::Delete | Command::Erase => {
                let erase = bio.command == Command::Erase;
                store.clear(bio.offset, bio.length, erase);
                Ok(())
            }
            Command::Flush => Ok(()),
        };
        bio.complete(result);
    }

    fn gone(self: Box<Self>) {}
}
