//! Discards, plain and secure: what GEOM deletes and erases.

use geom::disk::DiskLimits;
use geom::{Access, Device, Errno};
use sim::scene::{Scene, pattern};
use sim::storage::XVDA;
use sim::{Blkback, BlkbackConfig, Disk, Malice, Storage};

/// Where extents are not sectors: so many bytes each.
const EXTENT: u32 = 1 << 16;

/// A disk full of a pattern.
struct Full {
    storage: Storage,
    backend: Blkback,
    disk: Disk,
    bytes: Vec<u8>,
    device: std::rc::Rc<Device>,
}

impl Full {
    fn new(seed: u64, config: BlkbackConfig) -> Self {
        let storage = Storage::new(seed);
        let bytes = pattern(3, 2 << 20);
        let disk = Disk::with(&bytes);
        let backend = storage.attach_ready(&disk, config);
        let device = storage.open("xbd0", Access::READ_WRITE).into();
        Self {
            storage,
            backend,
            disk,
            bytes,
            device,
        }
    }

    fn delete(&self, offset: u64, length: u64) -> Result<(), Errno> {
        let device = self.device.clone();
        self.storage
            .ask(async move { device.delete(offset, length).await })
    }

    fn erase(&self, offset: u64, length: u64) -> Result<(), Errno> {
        let device = self.device.clone();
        self.storage
            .ask(async move { device.erase(offset, length).await })
    }

    /// Exactly the bytes of this range are gone, since the last time.
    fn is_freed(&mut self, range: std::ops::Range<usize>) -> bool {
        self.bytes[range].fill(0);
        self.disk.bytes(0, self.bytes.len()) == self.bytes
    }
}

fn limits(storage: &Storage) -> DiskLimits {
    let disks = storage.guest.geom.disks();
    let disk = disks.iter().find(|disk| disk.name == "xbd0");
    disk.expect("xbd0 is there").limits
}

fn extents(alignment: u32) -> BlkbackConfig {
    BlkbackConfig {
        discard_granularity: Some(EXTENT),
        discard_alignment: alignment,
        secure_discard: true,
        ..BlkbackConfig::default()
    }
}

#[test]
fn a_delete_is_one_request_however_long_it_is() {
    let mut full = Full::new(1, BlkbackConfig::default());
    assert!(full.storage.logged(", discard"));
    assert_eq!(full.delete(1536, 1 << 20), Ok(()));
    assert_eq!(full.backend.served().discards, 1);
    assert!(full.is_freed(1536..1536 + (1 << 20)));
    assert_eq!(full.delete(0, 16 << 20), Ok(()));
    assert_eq!(full.backend.served().discards, 2);
    assert!(full.is_freed(0..2 << 20));
}

#[test]
fn a_delete_starts_where_an_extent_does_and_one_without_any_is_not_asked_for() {
    let mut full = Full::new(2, extents(0));
    assert_eq!(
        limits(&full.storage).delete_granularity,
        u64::from(EXTENT),
        "those above may know"
    );
    assert_eq!(full.delete(4096, 300_032), Ok(()));
    assert!(full.is_freed(65536..304_128));
    assert_eq!(full.delete(512, 65024), Ok(()));
    assert_eq!(full.delete(1 << 20, 512), Ok(()));
    assert!(full.is_freed(1 << 20..(1 << 20) + 512));
    assert_eq!(full.backend.served().discards, 2);

    let mut shifted = Full::new(3, extents(8192));
    assert_eq!(shifted.delete(0, 1 << 18), Ok(()));
    assert!(shifted.is_freed(8192..1 << 18));
}

#[test]
fn an_erase_is_a_secure_discard_and_never_less_than_what_was_asked_for() {
    let mut full = Full::new(4, extents(0));
    assert!(full.storage.logged(", secure discard"));
    assert_eq!(full.erase(65536, 1536), Ok(()));
    assert!(full.is_freed(65536..67072));
    assert_eq!(full.backend.served().secure_discards, 1);
    assert_eq!(full.erase(512, 1 << 20), Err(Errno::Invalid));
    assert!(full.is_freed(0..0));
    assert_eq!(full.delete(1 << 20, 65536), Ok(()));
    let served = full.backend.served();
    assert_eq!((served.discards, served.secure_discards), (2, 1));
}

#[test]
fn a_backend_that_offers_neither_is_asked_for_neither() {
    let full = Full::new(
        5,
        BlkbackConfig {
            discard: false,
            ..BlkbackConfig::default()
        },
    );
    assert!(!limits(&full.storage).can_delete);
    assert_eq!(full.delete(0, 4096), Err(Errno::NotSupported));
    assert_eq!(full.erase(0, 4096), Err(Errno::NotSupported));
    assert_eq!(full.backend.served().errors, 0);
    let plain = Full::new(6, BlkbackConfig::default());
    assert_eq!(plain.erase(0, 4096), Err(Errno::NotSupported));
    assert_eq!(plain.backend.served().errors, 0);
}

#[test]
fn f15_extents_that_cannot_be_are_not_believed() {
    let lies: [&[(&str, &str)]; 6] = [
        &[("discard-granularity", "0")],
        &[
            ("discard-granularity", "4096"),
            ("discard-alignment", "8192"),
        ],
        &[("discard-alignment", "1024")],
        &[("discard-granularity", "18446744073709551615")],
        &[("discard-granularity", "513")],
        &[
            ("discard-granularity", "4096"),
            ("discard-alignment", "1000"),
        ],
    ];
    for keys in lies {
        let scene = Scene::new(7);
        let lie = |(key, value): &(&str, &str)| ((*key).into(), Some((*value).into()));
        let _backend = scene.attach(BlkbackConfig {
            malice: Malice {
                keys: keys.iter().map(lie).collect(),
                ..Malice::default()
            },
            ..BlkbackConfig::default()
        });
        let storage = &scene.storage;
        storage.until("xbd0 is tasted", |s| s.is_ready("xbd0"));
        let limits = limits(storage);
        assert!(!limits.can_delete && !limits.can_erase, "{keys:?}");
        storage.expect("xbd0", 0, &scene.bytes);
        scene.good_disk_goes_on();
    }
}

/// A backend that offers discards of both kinds, and does not know those of one or of both.
fn false_offer(seed: u64, knows_plain: bool) -> Full {
    let keys = [("feature-discard", "1"), ("discard-secure", "1")];
    let keys = keys.map(|(key, value)| (key.into(), Some(value.into())));
    Full::new(
        seed,
        BlkbackConfig {
            discard: knows_plain,
            malice: Malice {
                keys: keys.into(),
                ..Malice::default()
            },
            ..BlkbackConfig::default()
        },
    )
}

#[test]
fn f15_discards_that_are_offered_but_not_known_are_not_asked_for_again() {
    let full = false_offer(8, false);
    assert!(limits(&full.storage).can_delete && limits(&full.storage).can_erase);
    assert_eq!(full.delete(0, 4096), Err(Errno::NotSupported));
    let limits = limits(&full.storage);
    assert!(!limits.can_delete && !limits.can_erase);
    assert_eq!(full.delete(0, 4096), Err(Errno::NotSupported));
    assert_eq!(full.erase(0, 4096), Err(Errno::NotSupported));
    assert_eq!(full.backend.served().errors, 1);
    full.storage.expect("xbd0", 0, &full.bytes);
}

#[test]
fn f15_secure_discards_that_are_not_known_leave_the_plain_ones() {
    let mut full = false_offer(9, true);
    assert_eq!(full.erase(0, 4096), Err(Errno::NotSupported));
    assert_eq!(full.backend.served().errors, 1);
    assert_eq!(full.erase(0, 4096), Err(Errno::NotSupported));
    assert_eq!(full.backend.served().errors, 1);
    assert!(limits(&full.storage).can_delete);
    assert_eq!(full.delete(0, 4096), Ok(()));
    assert!(full.is_freed(0..4096));
}

#[test]
fn sectors_that_become_larger_than_extents_end_discards_alone() {
    let full = Full::new(10, BlkbackConfig::default());
    let path = format!("{}/sector-size", Storage::vbd(XVDA).backend_path());
    full.storage.toolstack.store().write(&path, "4096");
    full.backend.configure(|config| config.sector_size = 4096);
    full.backend.resize(16384);
    full.storage.until("the new sectors", |s| {
        let provider = s.guest.geom.provider("xbd0");
        provider.is_some_and(|provider| provider.sector_size == 4096)
    });
    assert!(!limits(&full.storage).can_delete);
    full.storage.until("it is tasted", |s| s.is_ready("xbd0"));
    full.storage.expect("xbd0", 0, &full.bytes[..8192]);
}
