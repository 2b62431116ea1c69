//! A guest with a controller: what tests of the driver start from.

use std::ops::Deref;
use std::rc::Rc;

use nvme::Nvme;

use super::{NvmeConfig, NvmeDevice, Plug};
use crate::Dom;
use crate::storage::{GUEST, Storage};

/// A running machine with one guest, and a controller in it.
pub struct Bay {
    /// What the driver has of the controller.
    pub plug: Rc<Plug>,
    /// The controller.
    pub device: NvmeDevice,
    /// The guest's driver.
    pub driver: Nvme<Dom>,
    /// The guest, and all else.
    pub storage: Storage,
}

impl Bay {
    /// A controller like this one, that the driver has begun to look at.
    #[must_use]
    pub fn new(seed: u64, config: NvmeConfig) -> Self {
        Self::with(seed, config, |_| {}, true)
    }

    /// The same with a controller that `prepare` has changed before. With `interrupt` it can raise
    /// one.
    #[must_use]
    pub fn with(
        seed: u64,
        config: NvmeConfig,
        prepare: impl FnOnce(&NvmeDevice),
        interrupt: bool,
    ) -> Self {
        let storage = Storage::new(seed);
        let driver = Nvme::new(&storage.guest.pv, &storage.guest.geom);
        let device = NvmeDevice::insert(&storage.world, GUEST, config);
        prepare(&device);
        let plug = Plug::with(&storage.world, &storage.guest, &driver, &device, interrupt);
        Self {
            plug,
            device,
            driver,
            storage,
        }
    }

    /// The same whose `nvd0` is there and tasted.
    ///
    /// # Panics
    /// If that does not come.
    #[must_use]
    pub fn ready(seed: u64, config: NvmeConfig) -> Self {
        let bay = Self::new(seed, config);
        bay.until("nvd0 is there and tasted", |bay| bay.is_ready("nvd0"));
        bay
    }

    /// Runs until the driver has let go of the controller, and GEOM of its disks.
    ///
    /// # Panics
    /// If that does not come.
    pub fn until_left(&self) {
        self.until("the driver has let go", |storage| {
            let (created, gone) = storage.created_and_gone();
            self.plug.has_ended() && created == gone
        });
    }
}

impl Deref for Bay {
    type Target = Storage;

    fn deref(&self) -> &Storage {
        &self.storage
    }
}
