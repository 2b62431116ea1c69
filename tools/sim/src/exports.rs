//! A storage driver domain that runs the shipped block backend over a disk in its memory: what
//! tests of the backend start from. Its clients are guests with the shipped frontend, or frontends
//! driven by hand.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use geom::{Access, Device, Errno};
use hv::DomId;
use pv::Pv;

use crate::frontend::{Abi, Frontend};
use crate::ramdisk::{RamConfig, RamDisk};
use crate::storage::{Pending, XVDA};
use crate::{Detach, DomainConfig, Guest, Toolstack, Vbd, World};

/// The driver domain's number.
pub const DRIVER: DomId = DomId(9);

/// How long whatever should happen may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running machine with one driver domain and `ram0` in it.
pub struct Exports {
    /// The driver domain.
    pub driver: Guest,
    /// `ram0`.
    pub disk: RamDisk,
    /// The toolstack.
    pub toolstack: Toolstack,
    /// Everything.
    pub world: World,
}

impl Exports {
    /// With a disk of 1 MiB, and nobody to use it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, RamConfig::default())
    }

    /// The same with another disk.
    ///
    /// # Panics
    /// If even this does not run without breaking a law.
    #[must_use]
    pub fn with(seed: u64, config: RamConfig) -> Self {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let resources = DomainConfig {
            pages: 2048 + config.size / hv::PAGE_SIZE,
            ..DomainConfig::default()
        };
        let driver = Guest::with_exports(&world, &toolstack, DRIVER, resources);
        let disk = RamDisk::create(&driver, 0, config);
        let exports = Self {
            driver,
            disk,
            toolstack,
            world,
        };
        exports.run_for(Duration::from_secs(1));
        exports
    }

    /// `xvda` of a domain, served by the driver domain.
    #[must_use]
    pub fn xvda(guest: u16) -> Vbd {
        Self::vbd(guest, XVDA)
    }

    /// A vbd of a domain, served by the driver domain.
    #[must_use]
    pub fn vbd(guest: u16, devid: u32) -> Vbd {
        Vbd {
            guest: DomId(guest),
            backend: DRIVER,
            devid,
        }
    }

    /// Makes a vbd over `target`, to be written by nobody else.
    pub fn attach(&self, vbd: &Vbd, target: &str) {
        self.toolstack.create_vbd_of(vbd, target, "w");
    }

    /// A new domain with the shipped frontend.
    #[must_use]
    pub fn guest(&self, id: u16) -> Guest {
        let config = DomainConfig::default();
        Guest::with_disks(&self.world, &self.toolstack, DomId(id), config)
    }

    /// A new domain with the shipped frontend that uses `ram0` as its `xbd0`.
    #[must_use]
    pub fn client(&self, id: u16) -> Guest {
        let guest = self.guest(id);
        self.attach(&Self::xvda(id), "ram0");
        self.until("the client has its disk", || {
            guest.geom.provider("xbd0").is_some() && guest.geom.is_settled()
        });
        guest
    }

    /// A new domain with a frontend driven by hand, whose vbd is over `target`.
    #[must_use]
    pub fn peer(&self, id: u16, target: &str) -> Frontend {
        self.peer_with(id, target, Abi::X86_64)
    }

    /// The same with another layout of its ring.
    #[must_use]
    pub fn peer_with(&self, id: u16, target: &str, abi: Abi) -> Frontend {
        let config = DomainConfig::default();
        let dom = self.toolstack.create_domain(DomId(id), "peer", config);
        let vbd = Self::xvda(id);
        self.attach(&vbd, target);
        Frontend::new(&self.toolstack, &Pv::new(dom), vbd, abi)
    }

    /// Connects a frontend as an honest one connects, with one ring of one page.
    pub fn connect(&self, peer: &Frontend) {
        self.connect_with(peer, 1, 0);
    }

    /// The same with `count` rings of `2^order` pages.
    pub fn connect_with(&self, peer: &Frontend, count: usize, order: u32) {
        self.until("the backend makes its offer", || {
            peer.backend_state() == Some(2)
        });
        peer.make_rings(count, order);
        peer.publish(&[]);
        self.until("the backend connects", || peer.backend_state() == Some(4));
        peer.set_state(4);
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// If a law is broken, with the driver domain's log.
    pub fn run_for(&self, time: Duration) {
        if let Err(stop) = self.world.run_for(time) {
            panic!("{stop}\n{}", self.driver.log().join("\n"));
        }
    }

    /// Runs until `done` holds.
    ///
    /// # Panics
    /// If it does not come true, with what was awaited and the driver domain's log.
    pub fn until(&self, what: &str, done: impl Fn() -> bool) {
        if let Err(stop) = self.world.run_until(|_| done(), PATIENCE) {
            panic!("{what}: {stop}\n{}", self.driver.log().join("\n"));
        }
    }

    /// Detaches by the toolstack's normal road, and waits for the outcome.
    ///
    /// # Panics
    /// If it is not detached.
    pub fn detach(&self, vbd: &Vbd) {
        self.detached(&self.toolstack.detach(vbd, false));
    }

    /// Waits for the outcome of a detach.
    ///
    /// # Panics
    /// If the device was not detached.
    pub fn detached(&self, detach: &Detach) {
        self.until("the detach has an outcome", || detach.outcome().is_some());
        if let Some(Err(error)) = detach.outcome() {
            panic!("detach: {error:?}\n{}", self.driver.log().join("\n"));
        }
    }

    /// Opens a provider of a guest's.
    ///
    /// # Panics
    /// If it cannot be opened.
    #[must_use]
    pub fn open(guest: &Guest, name: &str, access: Access) -> Device {
        match guest.geom.open(name, access) {
            Ok(device) => device,
            Err(error) => panic!("{error}\n{}", guest.log().join("\n")),
        }
    }

    /// Starts a read in a guest.
    #[must_use]
    pub fn begin_read(&self, guest: &Guest, offset: u64, length: usize) -> Pending {
        let device = Self::open(guest, "xbd0", Access::READ);
        let future = async move { device.read(offset, length).await.map(|bytes| bytes.len()) };
        Pending(guest.spawn(&self.world, future))
    }

    /// Starts a write in a guest.
    #[must_use]
    pub fn begin_write(&self, guest: &Guest, offset: u64, bytes: Vec<u8>) -> Pending {
        let device = Self::open(guest, "xbd0", Access::READ_WRITE);
        let length = bytes.len();
        let future = async move { device.write(offset, bytes).await.map(|()| length) };
        Pending(guest.spawn(&self.world, future))
    }

    /// Reads from a guest's `xbd0`.
    ///
    /// # Errors
    /// What the read came to.
    ///
    /// # Panics
    /// If it comes to nothing.
    pub fn read(&self, guest: &Guest, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let device = Self::open(guest, "xbd0", Access::READ);
        self.ask(guest, async move { device.read(offset, length).await })
    }

    /// Writes to a guest's `xbd0` and flushes.
    ///
    /// # Errors
    /// What the write or the flush came to.
    ///
    /// # Panics
    /// If it comes to nothing.
    pub fn write(&self, guest: &Guest, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let device = Self::open(guest, "xbd0", Access::READ_WRITE);
        let bytes = bytes.to_vec();
        self.ask(guest, async move {
            device.write(offset, bytes).await?;
            device.flush().await
        })
    }

    /// Runs `future` in a guest until it is done.
    ///
    /// # Panics
    /// If it does not come to an end, with both logs.
    pub fn ask<T: 'static>(&self, guest: &Guest, future: impl Future<Output = T> + 'static) -> T {
        match guest.run(&self.world, future) {
            Ok(value) => value,
            Err(stop) => {
                let (one, other) = (guest.log(), self.driver.log());
                panic!("{stop}\n{}\n{}", one.join("\n"), other.join("\n"))
            }
        }
    }

    /// Has the driver domain close all its exports, as it does before it ends; tells when it has.
    ///
    /// # Panics
    /// Never: the driver domain has a backend.
    #[must_use]
    pub fn close(&self) -> Rc<RefCell<Option<()>>> {
        let blkback = self.driver.blkback.clone().expect("it has a backend");
        let close = async move { blkback.close().await };
        self.driver.spawn(&self.world, close)
    }
}
