//! A guest with disks, its toolstack and its backends: what most tests of the block frontend start
//! from.

use std::time::Duration;

use geom::{Access, Device, Errno};
use hv::DomId;

use crate::guest::Holdings;
use crate::{Blkback, BlkbackConfig, Disk, DomainConfig, Guest, Toolstack, Vbd, World};

/// The guest's domain.
pub const GUEST: DomId = DomId(1);
/// The device number of `xvda`; `xvdb` is 16 more.
pub const XVDA: u32 = 51712;

/// How long whatever should happen may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running machine with one guest.
pub struct Storage {
    /// The guest.
    pub guest: Guest,
    /// The toolstack.
    pub toolstack: Toolstack,
    /// Everything.
    pub world: World,
}

impl Storage {
    /// A machine with one guest and no disk, settled.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, DomainConfig::default())
    }

    /// The same with another guest.
    #[must_use]
    pub fn with(seed: u64, config: DomainConfig) -> Self {
        Self::with_queues(seed, config, 1)
    }

    /// The same with a guest that makes up to `queues` rings for each disk.
    #[must_use]
    pub fn with_queues(seed: u64, config: DomainConfig, queues: u32) -> Self {
        Self::around(seed, |world, toolstack| {
            Guest::with_queues(world, toolstack, GUEST, config, queues)
        })
    }

    /// The same with a guest that serves its disks to other domains.
    #[must_use]
    pub fn with_exports(seed: u64) -> Self {
        Self::around(seed, |world, toolstack| {
            Guest::with_exports(world, toolstack, GUEST, DomainConfig::default())
        })
    }

    fn around(seed: u64, start: impl FnOnce(&World, &Toolstack) -> Guest) -> Self {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let guest = start(&world, &toolstack);
        let storage = Self {
            guest,
            toolstack,
            world,
        };
        storage.run_for(Duration::from_secs(1));
        storage
    }

    /// The vbd of the guest with this number, served by domain 0.
    #[must_use]
    pub fn vbd(devid: u32) -> Vbd {
        Vbd {
            guest: GUEST,
            backend: DomId(0),
            devid,
        }
    }

    /// Attaches a disk; a backend starts to serve it.
    #[must_use]
    pub fn attach(&self, devid: u32, disk: &Disk, config: BlkbackConfig) -> Blkback {
        let vbd = Self::vbd(devid);
        Blkback::attach(&self.world, &self.toolstack, vbd, disk, config)
    }

    /// Attaches `xvda` with all defaults, and waits until it is tasted.
    #[must_use]
    pub fn attach_ready(&self, disk: &Disk, config: BlkbackConfig) -> Blkback {
        let backend = self.attach(XVDA, disk, config);
        self.until("xbd0 is there and tasted", |storage| {
            storage.is_ready("xbd0")
        });
        backend
    }

    /// Whether there is a live provider of that name and all tastes are done.
    #[must_use]
    pub fn is_ready(&self, name: &str) -> bool {
        self.guest.geom.provider(name).is_some() && self.guest.geom.is_settled()
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// If a law is broken, with the guest's log.
    pub fn run_for(&self, time: Duration) {
        if let Err(stop) = self.world.run_for(time) {
            panic!("{stop}\n{}", self.guest.log().join("\n"));
        }
    }

    /// Runs until `done` holds.
    ///
    /// # Panics
    /// If it does not come true, with what was awaited and the guest's log.
    pub fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let ran = self.world.run_until(|_| done(self), PATIENCE);
        if let Err(stop) = ran {
            panic!("{what}: {stop}\n{}", self.guest.log().join("\n"));
        }
    }

    /// Runs `future` in the guest until it is done.
    ///
    /// # Panics
    /// If it does not come to an end.
    pub fn ask<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> T {
        match self.guest.run(&self.world, future) {
            Ok(value) => value,
            Err(stop) => panic!("{stop}\n{}", self.guest.log().join("\n")),
        }
    }

    /// Opens a provider.
    ///
    /// # Panics
    /// If it cannot be opened.
    #[must_use]
    pub fn open(&self, name: &str, access: Access) -> Device {
        match self.guest.geom.open(name, access) {
            Ok(device) => device,
            Err(error) => panic!("{error}\n{}", self.guest.log().join("\n")),
        }
    }

    /// Reads from a provider that is opened just for this.
    ///
    /// # Errors
    /// What the read came to.
    pub fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let device = self.open(name, Access::READ);
        self.ask(async move { device.read(offset, length).await })
    }

    /// Reads `expected.len()` bytes, which must be these.
    ///
    /// # Panics
    /// If the read fails or brings other bytes.
    pub fn expect(&self, name: &str, offset: u64, expected: &[u8]) {
        let found = match self.read(name, offset, expected.len()) {
            Ok(found) => found,
            Err(error) => panic!("{name}: {error}\n{}", self.guest.log().join("\n")),
        };
        let differs = found
            .iter()
            .zip(expected)
            .position(|(one, other)| one != other);
        if let Some(at) = differs {
            panic!(
                "{name}: byte {at} is {:#x}, not {:#x}",
                found[at], expected[at]
            );
        }
    }

    /// Starts a read without waiting for it; the device stays open until it is done.
    #[must_use]
    pub fn begin_read(&self, name: &str, offset: u64, length: usize) -> Pending {
        let device = self.open(name, Access::READ);
        let future = async move { device.read(offset, length).await.map(|bytes| bytes.len()) };
        Pending(self.guest.spawn(&self.world, future))
    }

    /// Writes to a provider that is opened just for this.
    ///
    /// # Errors
    /// What the write came to.
    pub fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let device = self.open(name, Access::READ_WRITE);
        let bytes = bytes.to_vec();
        self.ask(async move { device.write(offset, bytes).await })
    }

    /// Disks created and gone so far.
    #[must_use]
    pub fn created_and_gone(&self) -> (u64, u64) {
        let counters = self.guest.geom.counters();
        (counters.disks_created, counters.disks_gone)
    }

    /// What the guest holds now.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        self.guest.holdings(&self.toolstack)
    }

    /// The guest's own state of a device in xenstore.
    #[must_use]
    pub fn front_state(&self, devid: u32) -> Option<String> {
        let path = format!("{}/state", Self::vbd(devid).frontend_path());
        self.toolstack.store().read(&path)
    }

    /// What the guest wrote to the error node of a device.
    #[must_use]
    pub fn front_error(&self, devid: u32) -> Option<String> {
        let path = format!("/local/domain/{GUEST}/error/device/vbd/{devid}/error");
        self.toolstack.store().read(&path)
    }

    /// Whether a line of the guest's log contains `text`.
    #[must_use]
    pub fn logged(&self, text: &str) -> bool {
        self.guest.log().iter().any(|line| line.contains(text))
    }

    /// Lines of the guest's log that contain `text`.
    #[must_use]
    pub fn count_logged(&self, text: &str) -> usize {
        let lines = self.guest.log();
        lines.iter().filter(|line| line.contains(text)).count()
    }

    /// Detaches by the toolstack's normal road and waits for the outcome.
    ///
    /// # Panics
    /// If it is not detached.
    pub fn detach(&self, devid: u32) {
        let detach = self.toolstack.detach(&Self::vbd(devid), false);
        self.until("the detach has an outcome", |_| detach.outcome().is_some());
        if let Some(Err(error)) = detach.outcome() {
            panic!("detach: {error:?}\n{}", self.guest.log().join("\n"));
        }
    }
}

/// A request under way.
pub struct Pending(pub(crate) std::rc::Rc<std::cell::RefCell<Option<Result<usize, Errno>>>>);

impl Pending {
    /// What it came to: the bytes read, or why not. `None` while it is under way.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<usize, Errno>> {
        *self.0.borrow()
    }
}

/// A sector with an MBR that has these partitions, up to four of FreeBSD's: where they start and
/// how long they are, in sectors.
#[must_use]
pub fn mbr(partitions: &[(u32, u32)]) -> [u8; 512] {
    let mut sector = [0; 512];
    let entries = &mut sector[446..510].as_chunks_mut::<16>().0;
    assert!(partitions.len() <= entries.len(), "an MBR has four entries");
    for (entry, (start, sectors)) in entries.iter_mut().zip(partitions) {
        entry[4] = 0xa5;
        entry[8..12].copy_from_slice(&start.to_le_bytes());
        entry[12..].copy_from_slice(&sectors.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}
