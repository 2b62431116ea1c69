//! One world of the model, and what can happen in it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::class::nop::NopParams;
use crate::class::{Class, Slice, Table, Verdict};
use crate::disk::{Disk, DiskBio, DiskHandle, DiskParams};
use crate::media::{Media, Need};
use crate::request::Io;
use crate::{Access, Device, Errno, Geom, Params};

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    Step,
    Gone,
    Destroy,
    OpenRaw,
    OpenPartition,
    CloseRaw,
    ClosePartition,
    UseRaw,
    UsePartition,
    CompleteFirst,
    FailLast,
    Deadline,
    MediaChanged,
    Shrink,
    MakeNop,
    DestroyNop,
    OpenNop,
    CloseNop,
    UseNop,
}

/// What the driver and the world share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) held: RefCell<Vec<DiskBio>>,
    pub(super) open: Cell<bool>,
    pub(super) gone: Cell<u32>,
}

struct Driver(Rc<Shared>);

impl Disk for Driver {
    fn open(&mut self) -> Result<(), Errno> {
        assert!(!self.0.open.replace(true), "opened twice");
        Ok(())
    }

    fn close(&mut self) {
        assert!(self.0.open.replace(false), "closed without an open");
        assert!(self.0.held.borrow().is_empty(), "closed under a request");
    }

    fn strategy(&mut self, bio: DiskBio) {
        assert!(self.0.open.get(), "a request while closed");
        self.0.held.borrow_mut().push(bio);
    }

    fn gone(self: Box<Self>) {
        assert!(!self.0.open.get(), "gone before the close");
        assert!(self.0.held.borrow().is_empty(), "gone under a request");
        self.0.gone.set(self.0.gone.get() + 1);
    }
}

/// Where the NOP starts: so that its size tells it from everything else.
const NOP_OFFSET: u64 = 512;

/// Reads one sector, and makes one partition whatever is in it, but not of the NOP.
struct Any;

impl Class for Any {
    fn name(&self) -> &'static str {
        "ANY"
    }

    fn taste(&self, media: &Media, _outer: &[&'static str]) -> Result<Verdict, Need> {
        if media.size() == 2048 - NOP_OFFSET || media.read_sector(0)?.is_err() {
            return Ok(Verdict::NotMine);
        }
        let slice = Slice {
            suffix: "p1".into(),
            length: 1024,
            ..Slice::default()
        };
        Ok(Verdict::Mine(Table {
            scheme: "ANY",
            slices: vec![slice],
            ..Table::default()
        }))
    }
}

/// How much of the bounded letters was used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) destroyed: bool,
    pub(super) deadline: bool,
    pub(super) media_changed: bool,
    pub(super) shrunk: bool,
    pub(super) gone: bool,
    pub(super) requests: u32,
    pub(super) raw_opens: u32,
    pub(super) partition_opens: u32,
    pub(super) nops: u32,
    pub(super) nop_opens: u32,
}

/// How often each holder may open: closed ones wait for GEOM's work, so without a bound there were
/// no end of states.
const OPENS: u32 = 2;

pub(super) struct World {
    pub(super) geom: Geom,
    pub(super) shared: Rc<Shared>,
    handle: DiskHandle,
    pub(super) raw: Option<Device>,
    pub(super) partition: Option<Device>,
    pub(super) nop: Option<Device>,
    pub(super) ios: Vec<Io>,
    pub(super) used: Used,
    now: Duration,
}

impl World {
    pub(super) fn new() -> Self {
        let params = Params {
            max_depth: 1,
            ..Params::default()
        };
        let geom = Geom::with_classes(params, vec![Rc::new(Any)]);
        let shared = Rc::<Shared>::default();
        let mut params = DiskParams::new("xbd", 0, 2048);
        params.limits.can_flush = true;
        let handle = geom.disk_create(params, Box::new(Driver(shared.clone())));
        let handle = handle.expect("a sound disk");
        Self {
            geom,
            shared,
            handle,
            raw: None,
            partition: None,
            nop: None,
            ios: Vec::new(),
            used: Used::default(),
            now: Duration::ZERO,
        }
    }

    /// Whether a letter can happen now.
    pub(super) fn can(&self, letter: Letter) -> bool {
        let held = self.shared.held.borrow().len();
        let most = 2;
        match letter {
            Letter::Step => true,
            Letter::Gone => !self.used.gone,
            Letter::Destroy => !self.used.destroyed,
            Letter::OpenRaw => self.raw.is_none() && self.used.raw_opens < OPENS,
            Letter::OpenPartition => self.partition.is_none() && self.used.partition_opens < OPENS,
            Letter::CloseRaw => self.raw.is_some(),
            Letter::ClosePartition => self.partition.is_some(),
            Letter::UseRaw => self.raw.is_some() && self.used.requests < most,
            Letter::UsePartition => self.partition.is_some() && self.used.requests < most,
            Letter::CompleteFirst => held > 0,
            Letter::FailLast => held > 0,
            Letter::Deadline => !self.used.deadline,
            Letter::MediaChanged => !self.used.media_changed,
            Letter::Shrink => !self.used.shrunk,
            Letter::MakeNop => self.used.nops == 0,
            Letter::DestroyNop => self.used.nops == 1,
            Letter::OpenNop => self.nop.is_none() && self.used.nop_opens == 0,
            Letter::CloseNop => self.nop.is_some(),
            Letter::UseNop => self.nop.is_some() && self.used.requests == 0,
        }
    }

    /// Lets it happen. The laws hold afterwards.
    pub(super) fn run(&mut self, letter: Letter) {
        self.repeat(letter);
        self.check();
    }

    /// Lets it happen once more: on the way to a state whose laws were checked before.
    pub(super) fn repeat(&mut self, letter: Letter) {
        match letter {
            Letter::Step => drop(self.geom.step(self.now)),
            Letter::Gone => {
                self.used.gone = true;
                self.handle.gone();
            }
            Letter::Destroy => {
                self.used.destroyed = true;
                self.handle.destroy().expect("the first time");
            }
            Letter::OpenRaw => {
                self.used.raw_opens += 1;
                self.raw = self.geom.open("xbd0", Access::READ_WRITE).ok();
            }
            Letter::OpenPartition => {
                self.used.partition_opens += 1;
                self.partition = self.geom.open("xbd0p1", Access::READ).ok();
            }
            Letter::CloseRaw => self.raw = None,
            Letter::ClosePartition => self.partition = None,
            Letter::UseRaw => self.raw.iter().for_each(|raw| self.ios.push(raw.flush())),
            Letter::UsePartition => {
                let buffer = crate::Buffer::zeroed(512);
                let read = |device: &Device| device.read_into(512, buffer.clone());
                self.ios.extend(self.partition.as_ref().map(read));
            }
            Letter::CompleteFirst => {
                let bio = self.shared.held.borrow_mut().remove(0);
                bio.complete(Ok(()));
            }
            Letter::FailLast => {
                let bio = self.shared.held.borrow_mut().pop();
                bio.into_iter().for_each(|bio| bio.complete(Err(Errno::Io)));
            }
            Letter::Deadline => {
                self.used.deadline = true;
                self.now += Duration::from_secs(10);
            }
            Letter::MediaChanged => {
                self.used.media_changed = true;
                let _ = self.handle.media_changed();
            }
            Letter::Shrink => {
                self.used.shrunk = true;
                let _ = self.handle.resize(512);
            }
            Letter::MakeNop => {
                let params = NopParams {
                    offset: NOP_OFFSET,
                    ..NopParams::default()
                };
                if self.geom.nop_create("xbd0", &params).is_ok() {
                    self.used.nops = 1;
                }
            }
            Letter::DestroyNop => {
                self.used.nops = 2;
                let _ = self.geom.destroy("NOP", "xbd0.nop", true);
            }
            Letter::OpenNop => {
                self.used.nop_opens += 1;
                self.nop = self.geom.open("xbd0.nop", Access::READ_WRITE).ok();
            }
            Letter::CloseNop => self.nop = None,
            Letter::UseNop => self.nop.iter().for_each(|nop| self.ios.push(nop.flush())),
        }
        if matches!(
            letter,
            Letter::UseRaw | Letter::UsePartition | Letter::UseNop
        ) {
            self.used.requests += 1;
        }
        self.ios.retain(|io| io.result().is_none());
    }

    fn check(&self) {
        if let Err(broken) = self.geom.check() {
            panic!("{broken}\n{}", self.geom.json());
        }
        assert!(self.shared.gone.get() <= 1, "gone twice");
        let counters = self.geom.counters();
        let gone = u64::from(self.shared.gone.get());
        let nops = counters.disks_created - 1;
        assert!((gone..=gone + nops).contains(&counters.disks_gone));
        let may_be_gone = self.used.gone || self.used.destroyed;
        assert!(
            may_be_gone || self.shared.gone.get() == 0,
            "gone without a loss"
        );
    }

    /// Lets everything go: it ends, with gone exactly once and nothing left.
    pub(super) fn end(mut self) {
        self.used.gone = true;
        self.handle.gone();
        self.handle.gone();
        (self.raw, self.partition, self.nop) = (None, None, None);
        let mut steps = 0;
        loop {
            let bio = self.shared.held.borrow_mut().pop();
            bio.into_iter().for_each(|bio| bio.complete(Ok(())));
            let more = self.geom.step(self.now);
            self.check();
            steps += 1;
            assert!(steps < 1000, "it does not come to rest");
            if !more {
                break;
            }
        }
        self.ios.retain(|io| io.result().is_none());
        assert_eq!(self.shared.gone.get(), 1, "{}", self.geom.json());
        assert!(self.ios.is_empty(), "a request did not end");
        drop(self.handle);
        let counters = self.geom.counters();
        assert_eq!(counters.disks_gone, counters.disks_created);
        let objects = [counters.geoms, counters.providers, counters.consumers];
        assert_eq!(objects, [0; 3]);
        assert_eq!(
            (counters.requests, counters.tastes, counters.disk_records),
            (0, 0, 0)
        );
    }
}
