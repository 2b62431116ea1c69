//! A disk that does what a test says: hold requests, fail them, note their order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use geom::Errno;
use geom::disk::{Command, Disk, DiskBio};

/// What the test and the driver share.
#[derive(Default)]
pub(crate) struct Media {
    pub(crate) bytes: RefCell<Vec<u8>>,
    /// Keep requests instead of completing them at once.
    pub(crate) hold: Cell<bool>,
    /// Requests that the driver owns, in the order of their arrival.
    pub(crate) held: RefCell<VecDeque<DiskBio>>,
    /// Fail requests that end beyond this byte.
    pub(crate) fail_beyond: Cell<Option<(u64, Errno)>>,
    /// Everything that was carried out, in order.
    pub(crate) log: RefCell<Vec<(Command, u64, u64)>>,
    pub(crate) gone: Cell<bool>,
    pub(crate) open: Cell<bool>,
}

impl Media {
    /// Carries out the request at `index` of those held.
    pub(crate) fn finish(&self, index: usize) {
        let bio = self.held.borrow_mut().remove(index);
        self.carry_out(bio.expect("a held request"));
    }

    pub(crate) fn finish_all(&self) {
        while !self.held.borrow().is_empty() {
            self.finish(0);
        }
    }

    /// Bytes of the requests that the driver owns.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held.borrow().iter().map(|bio| bio.length).sum()
    }

    pub(crate) fn commands(&self) -> Vec<Command> {
        self.log.borrow().iter().map(|entry| entry.0).collect()
    }

    fn carry_out(&self, bio: DiskBio) {
        let entry = (bio.command, bio.offset, bio.length);
        self.log.borrow_mut().push(entry);
        let end = bio.offset + bio.length;
        if let Some((_, errno)) = self.fail_beyond.get().filter(|(limit, _)| end > *limit) {
            return bio.complete(Err(errno));
        }
        let mut bytes = self.bytes.borrow_mut();
        let range = bio.offset as usize..end as usize;
        let bytes = &mut bytes[range];
        match bio.command {
            Command::Read => bio.data.write(0, bytes).expect("all of the buffer"),
            Command::Write => bio.data.read(0, bytes).expect("all of the buffer"),
            Command::Delete | Command::Erase => bytes.fill(0),
            Command::Flush => {}
        }
        bio.complete(Ok(()));
    }
}

pub(crate) struct Driver(pub(crate) Rc<Media>);

impl Disk for Driver {
    fn open(&mut self) -> Result<(), Errno> {
        self.0.open.set(true);
        Ok(())
    }

    fn close(&mut self) {
        self.0.open.set(false);
    }

    fn strategy(&mut self, bio: DiskBio) {
        if self.0.hold.get() {
            self.0.held.borrow_mut().push_back(bio);
        } else {
            self.0.carry_out(bio);
        }
    }

    fn gone(self: Box<Self>) {
        self.0.gone.set(true);
    }
}
