//! A good disk beside one whose backend is up to something: the good one must not notice.

use std::time::Duration;

use crate::storage::XVDA;
use crate::{Blkback, BlkbackConfig, Disk, Storage};

/// The number of the good disk, `xvdb`.
const XVDB: u32 = XVDA + 16;

/// Bytes that tell where they belong.
#[must_use]
pub fn pattern(seed: usize, length: usize) -> Vec<u8> {
    let byte = |i: usize| (seed + i / 512 * 7 + i % 251).to_le_bytes()[0];
    (0..length).map(byte).collect()
}

/// A guest with a good disk, `xbd1`, and one whose backend is up to something, `xbd0`.
pub struct Scene {
    /// The machine.
    pub storage: Storage,
    /// What is on the good disk.
    pub good: Vec<u8>,
    /// The other disk.
    pub disk: Disk,
    /// What is on it.
    pub bytes: Vec<u8>,
}

impl Scene {
    /// The good disk is in use, the other is not attached yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let storage = Storage::new(seed);
        let good = pattern(1, 1 << 16);
        let config = BlkbackConfig::default();
        let _serves = storage.attach(XVDB, &Disk::with(&good), config);
        storage.until("the good disk is there", |s| s.is_ready("xbd1"));
        let bytes = pattern(2, 1 << 16);
        Self {
            storage,
            good,
            disk: Disk::with(&bytes),
            bytes,
        }
    }

    /// Attaches `xbd0`.
    #[must_use]
    pub fn attach(&self, config: BlkbackConfig) -> Blkback {
        self.storage.attach(XVDA, &self.disk, config)
    }

    /// Attaches an honest backend and waits until its disk is in use.
    #[must_use]
    pub fn attach_ready(&self) -> Blkback {
        self.storage
            .attach_ready(&self.disk, BlkbackConfig::default())
    }

    /// The good disk is read, and is as it was.
    pub fn good_disk_goes_on(&self) {
        self.storage.expect("xbd1", 0, &self.good);
    }

    /// The device has failed alone: gone once, said why, and everything comes back.
    ///
    /// # Panics
    /// If it is not so.
    pub fn has_failed_alone(&self, why: &str) {
        let storage = &self.storage;
        storage.until("the error is in xenstore", |s| {
            s.front_error(XVDA).is_some()
        });
        assert!(storage.logged(why), "{}", storage.guest.log().join("\n"));
        storage.until("xbd0 is gone", |s| s.guest.geom.provider("xbd0").is_none());
        self.good_disk_goes_on();
        storage.until("the device is closed", |s| {
            matches!(s.front_state(XVDA).as_deref(), Some("6") | None)
        });
        let (created, gone) = storage.created_and_gone();
        assert_eq!(created - gone, 1, "the good disk alone is live");
        storage.run_for(Duration::from_secs(120));
        assert_eq!(storage.guest.pv.grants.usage().parked, 0);
        assert_eq!(storage.guest.geom.counters().requests, 0);
        assert_eq!(storage.guest.geom.counters().dropped_bios, 0);
    }
}
