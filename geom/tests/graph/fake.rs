//! A disk whose driver does what a test says: hold requests, fail them, count every entry.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use geom::Errno;
use geom::disk::{Attribute, Command, Disk, DiskBio, Piece};

/// Something to do inside an entry of the driver.
pub(crate) type Hook = Box<dyn FnMut()>;

/// What the test and the driver share. It outlives the driver.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) media: RefCell<Vec<u8>>,
    /// Requests the driver owns, in the order of their arrival.
    pub(crate) held: RefCell<VecDeque<DiskBio>>,
    /// Keep requests instead of completing them at once.
    pub(crate) hold: Cell<bool>,
    /// Complete without doing anything.
    pub(crate) mute: Cell<bool>,
    pub(crate) fail_open: Cell<Option<Errno>>,
    pub(crate) fail_io: Cell<Option<Errno>>,
    pub(crate) opens: Cell<u32>,
    pub(crate) closes: Cell<u32>,
    pub(crate) gone: Cell<u32>,
    pub(crate) strategies: Cell<u32>,
    /// Carry out at once what may be, without doing anything.
    pub(crate) at_once: Cell<bool>,
    pub(crate) at_onces: Cell<u32>,
    /// Everything that was executed, in order.
    pub(crate) log: RefCell<Vec<(Command, u64, u64)>>,
    pub(crate) on_open: RefCell<Option<Hook>>,
    pub(crate) on_strategy: RefCell<Option<Hook>>,
    pub(crate) dropped: Cell<bool>,
}

impl Fake {
    pub(crate) fn new(media: Vec<u8>) -> Rc<Self> {
        Rc::new(Self {
            media: RefCell::new(media),
            ..Self::default()
        })
    }

    pub(crate) fn driver(self: &Rc<Self>) -> Box<dyn Disk> {
        Box::new(Driver(self.clone()))
    }

    pub(crate) fn held(&self) -> usize {
        self.held.borrow().len()
    }

    /// Executes and completes the request at `index` of those held.
    pub(crate) fn finish(&self, index: usize) {
        let bio = self
            .held
            .borrow_mut()
            .remove(index)
            .expect("a held request");
        self.execute(bio);
    }

    pub(crate) fn finish_all(&self) {
        while self.held() > 0 {
            self.finish(0);
        }
    }

    /// Fails all held requests.
    pub(crate) fn fail_all(&self, errno: Errno) {
        while let Some(bio) = self.take() {
            bio.complete(Err(errno));
        }
    }

    pub(crate) fn take(&self) -> Option<DiskBio> {
        self.held.borrow_mut().pop_front()
    }

    /// Whether the driver was opened and not closed.
    pub(crate) fn is_open(&self) -> bool {
        self.opens.get() > self.closes.get()
    }

    fn execute(&self, bio: DiskBio) {
        if self.mute.get() {
            return bio.complete(Ok(()));
        }
        self.log
            .borrow_mut()
            .push((bio.command, bio.offset, bio.length));
        if let Some(errno) = self.fail_io.get() {
            return bio.complete(Err(errno));
        }
        let range = bio.offset as usize..(bio.offset + bio.length) as usize;
        let mut media = self.media.borrow_mut();
        let result = match (bio.command, media.get_mut(range)) {
            (Command::Flush, _) => Ok(()),
            (_, None) => panic!("{bio:?} is outside the media"),
            (Command::Read, Some(bytes)) => {
                let mut zeroed = vec![1; bytes.len()];
                bio.data.read(0, &mut zeroed).expect("all of the buffer");
                assert!(
                    zeroed.iter().all(|byte| *byte == 0),
                    "read buffers are zeroed"
                );
                bio.data.write(0, bytes).map_err(|_| Errno::Io)
            }
            (Command::Write, Some(bytes)) => bio.data.read(0, bytes).map_err(|_| Errno::Io),
            (Command::Delete | Command::Erase, Some(bytes)) => {
                bytes.fill(0);
                Ok(())
            }
        };
        bio.complete(result);
    }
}

struct Driver(Rc<Fake>);

impl Driver {
    fn hook(hook: &RefCell<Option<Hook>>) {
        let taken = hook.borrow_mut().take();
        if let Some(mut hook) = taken {
            hook();
        }
    }
}

impl Disk for Driver {
    fn open(&mut self) -> Result<(), Errno> {
        assert!(!self.0.is_open(), "opened twice");
        assert_eq!(self.0.gone.get(), 0);
        if let Some(errno) = self.0.fail_open.get() {
            return Err(errno);
        }
        self.0.opens.set(self.0.opens.get() + 1);
        Self::hook(&self.0.on_open);
        Ok(())
    }

    fn close(&mut self) {
        assert!(self.0.is_open(), "closed without an open");
        assert_eq!(self.0.held(), 0, "closed with requests outstanding");
        self.0.closes.set(self.0.closes.get() + 1);
    }

    fn strategy(&mut self, bio: DiskBio) {
        assert!(self.0.is_open(), "a request while closed");
        self.0.strategies.set(self.0.strategies.get() + 1);
        Self::hook(&self.0.on_strategy);
        if self.0.hold.get() {
            self.0.held.borrow_mut().push_back(bio);
        } else {
            self.0.execute(bio);
        }
    }

    fn at_once(&mut self, _request: &Piece) -> Option<Result<(), Errno>> {
        if !self.0.at_once.get() {
            return None;
        }
        assert!(self.0.is_open(), "a request while closed");
        self.0.at_onces.set(self.0.at_onces.get() + 1);
        Some(self.0.fail_io.get().map_or(Ok(()), Err))
    }

    fn getattr(&mut self, name: &str) -> Option<Result<Attribute, Errno>> {
        match name {
            "FAKE::colour" => Some(Ok(Attribute::Text("green".into()))),
            "FAKE::broken" => Some(Err(Errno::Io)),
            _ => None,
        }
    }

    fn gone(self: Box<Self>) {
        assert_eq!(self.0.held(), 0, "gone with requests outstanding");
        assert!(!self.0.is_open(), "gone before the close");
        self.0.gone.set(self.0.gone.get() + 1);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.dropped.set(true);
    }
}
