//! A disk in a guest's own memory, which a test can slow down, hold back, let fail and take away.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use geom::disk::{Command, DISK_VERSION, Disk, DiskBio, DiskHandle, DiskLimits, DiskParams};
use geom::{Buffer, Errno, Memory};
use hv::{Hypervisor, Instant, PAGE_SIZE};
use iobuf::IoPage;

use crate::{Dom, Guest};

/// What a disk is like.
#[derive(Clone, Copy, Debug)]
pub struct RamConfig {
    /// Its bytes: whole pages.
    pub size: usize,
    /// Bytes of a sector.
    pub sector_size: u32,
    /// Whether it takes flushes.
    pub flush: bool,
    /// Whether it takes deletes; deleted bytes read as zeros.
    pub delete: bool,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// The longest piece it takes, in bytes.
    pub max_io: u64,
}

impl Default for RamConfig {
    /// 1 MiB with 512-byte sectors, flushes and deletes.
    fn default() -> Self {
        Self {
            size: 1 << 20,
            sector_size: 512,
            flush: true,
            delete: true,
            read_only: false,
            max_io: 1 << 20,
        }
    }
}

/// How fast a disk is that does one thing after the other, in the order it was asked.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// What each request costs before its bytes: a disk's head moves, a controller thinks.
    pub each: Duration,
    /// Bytes that it moves in a microsecond.
    pub bytes: u64,
    /// How much later an answer is there. Meanwhile the next request is under way.
    pub latency: Duration,
}

/// What a disk has been asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RamUse {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Flushes.
    pub flushes: u64,
    /// Deletes and erasures.
    pub deletes: u64,
    /// The most requests that waited at once.
    pub most_waiting: usize,
}

/// The disk; clones are the same one. Its pages are the guest's, so that what another domain reads
/// and writes is copied by Xen.
#[derive(Clone)]
pub struct RamDisk(Rc<Inner>);

struct Inner {
    pv: pv::Pv<Dom>,
    pages: Vec<Rc<dyn Memory>>,
    unit: u32,
    config: RamConfig,
    handle: RefCell<Option<DiskHandle>>,
    waiting: RefCell<Vec<DiskBio>>,
    held: Cell<bool>,
    latency: Cell<Duration>,
    speed: Cell<Option<Speed>>,
    /// With a speed: when it is done with all that it was asked for.
    busy_until: Cell<Instant>,
    error: Cell<Option<Errno>>,
    used: Cell<RamUse>,
}

/// What GEOM has of a disk.
struct Driver(Rc<Inner>);

impl RamDisk {
    /// A disk of `guest`'s, called `ram` and its unit.
    ///
    /// # Panics
    /// If the guest has not so many pages, or the numbers make no sense.
    #[must_use]
    pub fn create(guest: &Guest, unit: u32, config: RamConfig) -> Self {
        let page = |_| {
            let page = guest.dom.alloc_page().expect("the guest has pages enough");
            Rc::new(IoPage::<Dom>::new(page)) as Rc<dyn Memory>
        };
        let disk = Self(Rc::new(Inner {
            pv: guest.pv.clone(),
            pages: (0..config.size / PAGE_SIZE).map(page).collect(),
            unit,
            config,
            handle: RefCell::default(),
            waiting: RefCell::default(),
            held: Cell::new(false),
            latency: Cell::default(),
            speed: Cell::default(),
            busy_until: Cell::default(),
            error: Cell::default(),
            used: Cell::default(),
        }));
        disk.plug_in(guest);
        disk
    }

    /// Gives the disk to GEOM, again after it was taken away.
    ///
    /// # Panics
    /// If GEOM refuses it.
    pub fn plug_in(&self, guest: &Guest) {
        let config = self.0.config;
        let params = DiskParams {
            version: DISK_VERSION,
            sector_size: config.sector_size,
            read_only: config.read_only,
            limits: DiskLimits {
                max_io: config.max_io,
                max_delete: 0,
                can_delete: config.delete,
                can_flush: config.flush,
                can_erase: false,
                delete_granularity: 0,
            },
            ..DiskParams::new("ram", self.0.unit, config.size as u64)
        };
        let driver = Box::new(Driver(self.0.clone()));
        let handle = guest.geom.disk_create(params, driver);
        self.0
            .handle
            .replace(Some(handle.expect("GEOM takes the disk")));
        self.wake();
    }

    /// The disk's name in GEOM.
    #[must_use]
    pub fn name(&self) -> String {
        format!("ram{}", self.0.unit)
    }

    /// Its bytes, as it was made.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.config.size
    }

    /// Takes the disk away: what it holds back fails.
    pub fn pull(&self) {
        let handle = self.0.handle.take();
        drop(handle);
        for bio in self.0.waiting.take() {
            bio.complete(Err(Errno::NoDevice));
        }
        self.wake();
    }

    /// Gives the disk another size, not larger than it was made.
    ///
    /// # Panics
    /// If the disk was taken away, or the size makes no sense.
    pub fn resize(&self, size: u64) {
        let handle = self.0.handle.borrow();
        let resized = handle.as_ref().map(|handle| handle.resize(size));
        assert_eq!(resized, Some(Ok(())));
        self.wake();
    }

    /// Holds all requests back; `false` lets them go.
    pub fn set_held(&self, held: bool) {
        self.0.held.set(held);
        if !held {
            for bio in self.0.waiting.take() {
                self.0.carry_out(bio);
            }
        }
        self.wake();
    }

    /// Lets one of the requests go that are held back: the one that came at place `index`.
    pub fn release(&self, index: usize) {
        let bio = self.0.waiting.borrow_mut().remove(index);
        self.0.carry_out(bio);
        self.wake();
    }

    /// Each request takes a random time up to `latency` from now on; none at all if it is zero.
    pub fn set_latency(&self, latency: Duration) {
        self.0.latency.set(latency);
    }

    /// It does one request after the other from now on, and each takes its time.
    pub fn set_speed(&self, speed: Speed) {
        self.0.speed.set(Some(speed));
    }

    /// Every request fails with `error` from now on, or none.
    pub fn fail(&self, error: Option<Errno>) {
        self.0.error.set(error);
    }

    /// Requests held back.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting.borrow().len()
    }

    /// What it has been asked for.
    #[must_use]
    pub fn used(&self) -> RamUse {
        self.0.used.get()
    }

    /// Its bytes from `at` on.
    #[must_use]
    pub fn bytes(&self, at: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.each_page(at, length, |page, within, range| {
            page.copy_out(within, &mut bytes[range]);
        });
        bytes
    }

    /// Puts bytes on it behind everybody's back.
    pub fn put(&self, at: usize, bytes: &[u8]) {
        self.0.each_page(at, bytes.len(), |page, within, range| {
            page.copy_in(within, &bytes[range]);
        });
    }

    /// The guest has something to do that no event tells it of.
    fn wake(&self) {
        let dom = &self.0.pv.hv;
        dom.xen().wake_domain(dom.id());
    }
}

impl Inner {
    /// Calls `each` with a page, the offset in it and the range of the `length` bytes.
    fn each_page(
        &self,
        at: usize,
        length: usize,
        mut each: impl FnMut(&Rc<dyn Memory>, usize, std::ops::Range<usize>),
    ) {
        let mut done = 0;
        while done < length {
            let within = (at + done) % PAGE_SIZE;
            let count = (PAGE_SIZE - within).min(length - done);
            each(
                &self.pages[(at + done) / PAGE_SIZE],
                within,
                done..done + count,
            );
            done += count;
        }
    }

    fn take(self: &Rc<Self>, bio: DiskBio) {
        if let Some(speed) = self.speed.get() {
            let begun = self.busy_until.get().max(self.pv.hv.now());
            let moved = Duration::from_nanos(bio.data.len() as u64 * 1000 / speed.bytes);
            let done = begun.after(speed.each + moved);
            self.busy_until.set(done);
            return self.arrive_at(bio, done.after(speed.latency));
        }
        let latency = u64::try_from(self.latency.get().as_nanos()).unwrap_or(u64::MAX);
        if latency == 0 || self.held.get() {
            return self.arrive(bio);
        }
        let pause = self.pv.hv.xen().rng().below(latency);
        let at = self.pv.exec.now().after(Duration::from_nanos(pause));
        self.arrive_at(bio, at);
    }

    fn arrive_at(self: &Rc<Self>, bio: DiskBio, at: Instant) {
        let this = self.clone();
        self.pv.exec.spawn("ramdisk", async move {
            this.pv.exec.sleep_until(at).await;
            this.arrive(bio);
        });
    }

    fn arrive(&self, bio: DiskBio) {
        if !self.held.get() {
            return self.carry_out(bio);
        }
        let mut waiting = self.waiting.borrow_mut();
        waiting.push(bio);
        let mut used = self.used.get();
        used.most_waiting = used.most_waiting.max(waiting.len());
        self.used.set(used);
    }

    fn carry_out(&self, bio: DiskBio) {
        let mut used = self.used.get();
        match bio.command {
            Command::Read => used.reads += 1,
            Command::Write => used.writes += 1,
            Command::Flush => used.flushes += 1,
            Command::Delete | Command::Erase => used.deletes += 1,
        }
        self.used.set(used);
        let result = self.error.get().map_or_else(|| self.do_it(&bio), Err);
        bio.complete(result);
    }

    fn do_it(&self, bio: &DiskBio) -> Result<(), Errno> {
        let at = usize::try_from(bio.offset).expect("the disk is small");
        let length = usize::try_from(bio.length).expect("the disk is small");
        let part = |page: &Rc<dyn Memory>, within: usize, length: usize| {
            let whole = Buffer::over(page.clone());
            whole
                .part(within..within + length)
                .expect("inside the page")
        };
        match bio.command {
            Command::Read => {
                self.each_page(at, length, |page, within, range| {
                    let page = part(page, within, range.len());
                    bio.data.copy_from(range.start, &page).expect("inside");
                });
                Ok(())
            }
            Command::Write => {
                self.each_page(at, length, |page, within, range| {
                    let page = part(page, within, range.len());
                    bio.data.copy_to(range.start, &page).expect("inside");
                });
                // Whoever reads the pages next must find the bytes there.
                bio.data.settle()
            }
            Command::Delete | Command::Erase => {
                self.each_page(at, length, |page, within, range| {
                    page.copy_in(within, &vec![0; range.len()]);
                });
                Ok(())
            }
            Command::Flush => Ok(()),
        }
    }
}

impl Disk for Driver {
    fn strategy(&mut self, bio: DiskBio) {
        self.0.take(bio);
    }

    fn gone(self: Box<Self>) {}
}
