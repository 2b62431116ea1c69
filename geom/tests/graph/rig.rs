//! A mesh with a clock that a test moves, and a class with a table that is easy to write.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use geom::class::{Class, Slice, Table, Verdict};
use geom::disk::{DiskHandle, DiskParams};
use geom::media::{Media, Need};
use geom::{Access, Device, Errno, Geom, Params};

use crate::fake::Fake;

pub(crate) const SECTOR: u64 = 512;

/// One mesh and its time.
pub(crate) struct Rig {
    pub(crate) geom: Geom,
    pub(crate) now: Cell<Duration>,
}

impl Rig {
    /// With the class of this module, [`Head`].
    pub(crate) fn new() -> Self {
        Self::with_classes(vec![Rc::new(Head)])
    }

    pub(crate) fn with_classes(classes: Vec<Rc<dyn Class>>) -> Self {
        let geom = Geom::with_classes(Params::default(), classes);
        Self {
            geom,
            now: Cell::new(Duration::ZERO),
        }
    }

    /// With PART.
    pub(crate) fn part() -> Self {
        Self {
            geom: Geom::new(Params::default()),
            now: Cell::new(Duration::ZERO),
        }
    }

    /// One piece of work; the laws hold after it.
    pub(crate) fn step(&self) -> bool {
        let more = self.geom.step(self.now.get());
        self.check();
        more
    }

    /// All work there is now, with the laws checked after every piece.
    pub(crate) fn settle(&self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the mesh does not come to rest");
    }

    pub(crate) fn check(&self) {
        if let Err(broken) = self.geom.check() {
            panic!("{broken}\n{}", self.geom.json());
        }
    }

    pub(crate) fn wait(&self, time: Duration) {
        self.now.set(self.now.get() + time);
        self.settle();
    }

    pub(crate) fn create(&self, params: DiskParams, fake: &Rc<Fake>) -> DiskHandle {
        let handle = self
            .geom
            .disk_create(params, fake.driver())
            .expect("a sound disk");
        self.check();
        handle
    }

    /// A disk `xbd<unit>` over these bytes, created and not polled.
    pub(crate) fn disk(&self, unit: u32, media: Vec<u8>) -> (Rc<Fake>, DiskHandle) {
        let params = params(unit, media.len() as u64);
        let fake = Fake::new(media);
        let handle = self.create(params, &fake);
        (fake, handle)
    }

    /// The same, tasted.
    pub(crate) fn settled_disk(&self, unit: u32, media: Vec<u8>) -> (Rc<Fake>, DiskHandle) {
        let disk = self.disk(unit, media);
        self.settle();
        disk
    }

    pub(crate) fn open(&self, name: &str, access: Access) -> Device {
        let device = self
            .geom
            .open_as(name, access, "test")
            .expect("nobody in the way");
        self.check();
        device
    }

    /// Opens, and tells only why not.
    pub(crate) fn try_open(&self, name: &str, access: Access) -> Result<Device, Errno> {
        let result = self.geom.open(name, access).map_err(|error| error.errno);
        self.check();
        result
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.geom
            .providers()
            .into_iter()
            .map(|provider| provider.name)
            .collect()
    }

    pub(crate) fn live_names(&self) -> Vec<String> {
        let live = self
            .geom
            .providers()
            .into_iter()
            .filter(|p| p.error.is_none());
        live.map(|provider| provider.name).collect()
    }

    /// Runs a future to its end; the mesh must be able to end it alone.
    pub(crate) fn block<T>(&self, future: impl Future<Output = T>) -> T {
        self.try_block(future).expect("the request does not end")
    }

    /// Runs a future as far as the mesh alone can.
    pub(crate) fn try_block<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        self.settle();
        poll_once(future.as_mut())
    }

    /// That every object is gone again.
    pub(crate) fn assert_empty(&self) {
        let counters = self.geom.counters();
        assert_eq!(
            counters.disks_created,
            counters.disks_gone,
            "{}",
            self.geom.json()
        );
        assert_eq!(counters.disk_records, 0);
        let objects = [counters.geoms, counters.providers, counters.consumers];
        assert_eq!(objects, [0; 3], "{}", self.geom.json());
        assert_eq!((counters.requests, counters.tastes), (0, 0));
    }
}

pub(crate) fn poll_once<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

pub(crate) fn params(unit: u32, media_size: u64) -> DiskParams {
    let mut params = DiskParams::new("xbd", unit, media_size);
    params.limits.max_io = 4096;
    params.limits.can_flush = true;
    params.limits.can_delete = true;
    params.limits.can_erase = true;
    params.ident = format!("serial-{unit}");
    params
}

/// A class for tests: the first sector says "HEAD", how many ranges there are, and each range's
/// start and length in sectors. It may nest.
pub(crate) struct Head;

impl Class for Head {
    fn name(&self) -> &'static str {
        "HEAD"
    }

    fn taste(&self, media: &Media, _outer: &[&'static str]) -> Result<Verdict, Need> {
        let Ok(bytes) = media.read_sector(0)? else {
            return Ok(Verdict::NotMine);
        };
        Ok(match decode(&bytes) {
            None => Verdict::NotMine,
            Some(slices) => Verdict::Mine(Table {
                scheme: "HEAD",
                slices,
                ..Table::default()
            }),
        })
    }
}

/// The slices of a sector that [`Head`] knows.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Slice>> {
    let count = bytes.strip_prefix(b"HEAD")?.first()?;
    let number = |at: usize| u64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let slice = |index: u8| {
        let at = 5 + usize::from(index) * 4;
        Slice {
            suffix: format!("h{}", index + 1),
            index: u32::from(index) + 1,
            start: number(at) * SECTOR,
            length: number(at + 2) * SECTOR,
            config: vec![("type", "test".into())],
        }
    };
    Some((0..*count).map(slice).collect())
}

/// Bytes that tell where they are, so that a request to the wrong place shows.
pub(crate) fn pattern(sectors: u64) -> Vec<u8> {
    let byte = |at: u64| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    (0..sectors * SECTOR).map(byte).collect()
}

/// Writes a table for [`Head`] at `sector` of a media: starts and lengths in sectors.
pub(crate) fn write_head(media: &mut [u8], sector: u64, ranges: &[(u16, u16)]) {
    let mut bytes = b"HEAD".to_vec();
    bytes.push(ranges.len() as u8);
    for (start, length) in ranges {
        bytes.extend_from_slice(&start.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
    }
    let at = (sector * SECTOR) as usize;
    media[at..at + bytes.len()].copy_from_slice(&bytes);
}

/// A media of `sectors` with a table in its first.
pub(crate) fn with_head(sectors: u64, ranges: &[(u16, u16)]) -> Vec<u8> {
    let mut media = pattern(sectors);
    write_head(&mut media, 0, ranges);
    media
}
