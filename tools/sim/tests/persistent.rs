//! Persistent grants: a backend that keeps the pages of requests mapped, and says so.

use std::time::Duration;

use sim::scene::pattern;
use sim::storage::XVDA;
use sim::{Blkback, BlkbackConfig, Disk, Malice, Storage};

const SECOND: Duration = Duration::from_secs(1);

/// What Linux keeps mapped of one ring.
const LINUX: usize = 1056;

fn keeping(most: usize) -> BlkbackConfig {
    BlkbackConfig {
        persistent: Some(most),
        ..BlkbackConfig::default()
    }
}

/// A disk with this on it, whose backend keeps up to `most` pages mapped.
fn in_use(seed: u64, most: usize) -> (Storage, Blkback, Vec<u8>) {
    let storage = Storage::new(seed);
    let bytes = pattern(7, 1 << 20);
    let backend = storage.attach_ready(&Disk::with(&bytes), keeping(most));
    (storage, backend, bytes)
}

/// The disks of [`four`] backends.
const FOUR: [&str; 4] = ["xbd0", "xbd1", "xbd2", "xbd3"];

/// Attaches four disks that `disk` makes.
fn four(storage: &Storage, disk: impl Fn() -> Disk, config: &BlkbackConfig) -> [Blkback; 4] {
    [0, 16, 32, 48].map(|above| storage.attach(XVDA + above, &disk(), config.clone()))
}

/// Pages that had to be mapped for what `work` does.
fn mapped(backend: &Blkback, work: impl FnOnce()) -> u64 {
    let before = backend.served().mapped;
    work();
    backend.served().mapped - before
}

#[test]
fn a_backend_that_keeps_pages_mapped_sees_the_same_few_again_and_again() {
    let (storage, backend, bytes) = in_use(1, LINUX);
    assert!(storage.logged("persistent grants"));
    let path = format!("{}/feature-persistent", Storage::vbd(XVDA).frontend_path());
    let store = storage.toolstack.store();
    assert_eq!(store.read(&path).as_deref(), Some("1"));
    let small = mapped(&backend, || {
        for index in 0..100 {
            let at = index * 4096;
            storage.expect("xbd0", at as u64, &bytes[at..at + 4096]);
            assert_eq!(storage.write("xbd0", 1 << 22, &bytes[..4096]), Ok(()));
        }
    });
    // Each write has the disk tasted anew, which is a second request at a time.
    assert!(small <= 2, "{small}");
    let large = || storage.expect("xbd0", 0, &bytes[..1 << 18]);
    let first = mapped(&backend, large);
    assert!((1..=65).contains(&first), "{first}");
    assert_eq!(mapped(&backend, large), 0);
}

#[test]
fn a_backend_that_does_not_say_so_maps_each_time_and_all_goes_on() {
    let (storage, backend, bytes) = in_use(2, 0);
    backend.configure(|config| config.persistent = None);
    let again = mapped(&backend, || storage.expect("xbd0", 0, &bytes[..4096]));
    assert_eq!(again, 1);
    let storage = Storage::new(3);
    let _backend = storage.attach_ready(&Disk::new(), BlkbackConfig::default());
    assert!(!storage.logged("persistent grants"));
}

#[test]
fn a_backend_that_keeps_only_a_few_pages_serves_larger_requests_too() {
    let (storage, backend, bytes) = in_use(4, 5);
    storage.expect("xbd0", 0, &bytes);
    let other = pattern(8, 1 << 20);
    assert_eq!(storage.write("xbd0", 0, &other), Ok(()));
    storage.expect("xbd0", 0, &other);
    assert_eq!(backend.persistent().len(), 5);
}

#[test]
fn f15_a_backend_that_lets_go_of_the_pages_and_offers_no_more_is_served_on() {
    let (storage, backend, bytes) = in_use(5, LINUX);
    storage.expect("xbd0", 0, &bytes);
    backend.unmap_persistent();
    storage.expect("xbd0", 0, &bytes);
    let path = format!("{}/feature-persistent", Storage::vbd(XVDA).backend_path());
    storage.toolstack.store().remove(&path);
    backend.configure(|config| config.persistent = None);
    storage.expect("xbd0", 0, &bytes);
    backend.close();
    storage.until("the next connection", |s| {
        s.created_and_gone() == (2, 1) && s.is_ready("xbd0")
    });
    storage.expect("xbd0", 0, &bytes);
    assert_eq!(backend.persistent().len(), 0);
    assert_eq!(storage.count_logged("persistent grants"), 1);
}

#[test]
fn pages_that_a_backend_kept_come_back_when_it_leaves() {
    let storage = Storage::new(6);
    let before = storage.holdings();
    let bytes = pattern(9, 1 << 18);
    let backend = storage.attach_ready(&Disk::with(&bytes), keeping(LINUX));
    storage.expect("xbd0", 0, &bytes);
    assert!(backend.persistent().len() > 60);
    storage.detach(XVDA);
    storage.run_for(120 * SECOND);
    assert_eq!(storage.holdings(), before);
}

#[test]
fn connections_that_end_at_once_do_not_keep_the_next_ones_from_beginning() {
    let storage = Storage::new(7);
    let bytes = pattern(10, 1 << 18);
    let backends = four(&storage, || Disk::with(&bytes), &keeping(LINUX));
    for _round in 0..5 {
        for name in FOUR {
            storage.until(name, |s| s.is_ready(name));
            let reads: Vec<_> = (0..4)
                .map(|_| storage.begin_read(name, 0, 1 << 18))
                .collect();
            storage.until("the reads have ended", |_| {
                reads.iter().all(|read| read.outcome() == Some(Ok(1 << 18)))
            });
        }
        let kept: usize = backends.iter().map(|b| b.persistent().len()).sum();
        assert!(kept > 2048 / 8, "more than may be parked for long: {kept}");
        backends.iter().for_each(Blkback::close);
        storage.run_for(SECOND / 10);
    }
    assert_eq!(storage.count_logged("still have"), 0);
}

#[test]
fn connections_that_end_unanswered_do_not_keep_the_next_ones_from_beginning() {
    let storage = Storage::new(12);
    let backends = four(&storage, Disk::new, &BlkbackConfig::default());
    for name in FOUR {
        storage.until(name, |s| s.is_ready(name));
    }
    // They last so long that the next connections are made at once.
    storage.run_for(60 * SECOND);
    backends.iter().for_each(|backend| backend.set_held(true));
    let reads: Vec<_> = FOUR
        .iter()
        .flat_map(|name| (0..4).map(|_| storage.begin_read(name, 0, 1 << 18)))
        .collect();
    storage.run_for(SECOND);
    backends.iter().for_each(Blkback::close);
    storage.until("the requests are given up", |_| {
        reads.iter().all(|read| read.outcome().is_some())
    });
    storage.run_for(10 * SECOND);
    let parked = storage.guest.pv.grants.usage().parked;
    assert!(parked > 2048 / 8, "more than may be parked: {parked}");
    backends.iter().for_each(|backend| backend.set_held(false));
    for name in FOUR {
        storage.until(name, |s| s.is_ready(name));
    }
    assert_eq!(storage.count_logged("still have"), 0);
}

#[test]
fn f07_pages_that_an_untrusted_backend_keeps_hold_nothing_between_requests() {
    let storage = Storage::new(8);
    let spy = Malice {
        spy: true,
        ..Malice::default()
    };
    let config = BlkbackConfig {
        malice: spy,
        ..keeping(LINUX)
    };
    let backend = storage.attach(XVDA, &Disk::new(), config);
    let trusted = format!("{}/trusted", Storage::vbd(XVDA).frontend_path());
    storage.toolstack.store().write(&trusted, "0");
    storage.until("xbd0 is tasted", |s| s.is_ready("xbd0"));
    // Direct requests, and indirect ones with a list of their segments.
    for length in [512, 4096, 45056, 1 << 18] {
        assert_eq!(storage.write("xbd0", 0, &vec![0x5e; length]), Ok(()));
        storage.expect("xbd0", 0, &vec![0x5e; length]);
        let kept = backend.persistent();
        assert!(!kept.is_empty());
        assert!(kept.iter().flatten().all(|byte| *byte == 0), "{length}");
    }
    assert_eq!(storage.read("xbd0", 1 << 22, 1 << 18).map(|_| ()), Ok(()));
    assert_eq!(backend.spied(), Vec::<u8>::new());
}
