//! A backend whose nodes, states and habits lie: F08 to F17 (but F15: `withdrawn.rs`). That device
//! alone fails, or does without.

use std::time::Duration;

use geom::Errno;
use hv::DomId;
use sim::scene::Scene;
use sim::storage::XVDA;
use sim::{Blkback, BlkbackConfig, Disk, DomainConfig, Malice, Storage, Vbd};

const SECOND: Duration = Duration::from_secs(1);

/// Attaches a backend whose directory says these things, whatever is true.
fn claims(scene: &Scene, keys: &[(&str, Option<&str>)]) -> Blkback {
    let keys = keys.iter();
    let keys = keys.map(|(key, value)| ((*key).into(), value.map(Into::into)));
    scene.attach(BlkbackConfig {
        malice: Malice {
            keys: keys.collect(),
            ..Malice::default()
        },
        ..BlkbackConfig::default()
    })
}

#[test]
fn f08_absurd_sector_counts() {
    let absurd = [
        "18446744073709551615",
        "18014398509481984",
        "-1",
        "x",
        "",
        "0x10",
    ];
    for sectors in absurd {
        let scene = Scene::new(40);
        let _backend = claims(&scene, &[("sectors", Some(sectors))]);
        scene
            .storage
            .until("an error", |s| s.front_error(XVDA).is_some());
        assert_eq!(scene.storage.created_and_gone(), (1, 0), "{sectors:?}");
        scene.good_disk_goes_on();
    }
    let scene = Scene::new(41);
    let _backend = claims(&scene, &[("sectors", Some("0"))]);
    scene
        .storage
        .until("the message", |s| s.logged("no medium"));
    scene.good_disk_goes_on();
}

#[test]
fn f08_sectors_that_shrink_below_what_is_in_use() {
    let scene = Scene::new(42);
    let backend = scene.attach_ready();
    backend.set_held(true);
    let read = scene.storage.begin_read("xbd0", 8192, 4096);
    scene
        .storage
        .until("the read is out", |_| backend.pending() == 1);
    backend.resize(8);
    let shrunk = |s: &Storage| {
        s.guest
            .geom
            .provider("xbd0")
            .is_some_and(|p| p.media_size == 4096)
    };
    scene.storage.until("xbd0 has shrunk", shrunk);
    backend.set_held(false);
    scene
        .storage
        .until("the read has ended", |_| read.outcome().is_some());
    let beyond = scene.storage.read("xbd0", 4096, 4096);
    assert_eq!(beyond.err(), Some(Errno::BeyondEnd));
    scene.storage.expect("xbd0", 0, &scene.bytes[..4096]);
    assert_eq!(
        backend.served().errors,
        0,
        "nothing beyond the end reached the backend"
    );
    scene.good_disk_goes_on();
}

#[test]
fn f08_sectors_that_become_a_lie_in_use_end_the_disk() {
    let scene = Scene::new(43);
    let backend = scene.attach_ready();
    backend.write_key("sectors", "18446744073709551615");
    backend.write_key("state", "4");
    scene.has_failed_alone("sectors are more than any disk has");
}

#[test]
fn f09_absurd_sector_sizes() {
    for size in ["0", "511", "3", "2147483648", "8192", "-512", "512k"] {
        let scene = Scene::new(50);
        let _backend = claims(&scene, &[("sector-size", Some(size))]);
        scene
            .storage
            .until("an error", |s| s.front_error(XVDA).is_some());
        assert_eq!(scene.storage.created_and_gone(), (1, 0), "{size:?}");
        scene.good_disk_goes_on();
    }
    let scene = Scene::new(51);
    let unaligned = [("sector-size", Some("4096")), ("sectors", Some("32769"))];
    let _backend = claims(&scene, &unaligned);
    scene
        .storage
        .until("an error", |s| s.front_error(XVDA).is_some());
    assert!(scene.storage.logged("no multiple of 4096"));
}

#[test]
fn f10_a_physical_sector_size_that_cannot_be_is_ignored() {
    for size in ["0", "256", "768", "x", "99999999999999999999"] {
        let scene = Scene::new(52);
        let _backend = claims(&scene, &[("physical-sector-size", Some(size))]);
        scene
            .storage
            .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
        let provider = scene.storage.guest.geom.provider("xbd0").unwrap();
        assert!(
            provider.stripe_size <= 512,
            "{size}: {}",
            provider.stripe_size
        );
    }
    let scene = Scene::new(53);
    let _backend = claims(&scene, &[("physical-sector-size", Some("4096"))]);
    scene
        .storage
        .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
    let provider = scene.storage.guest.geom.provider("xbd0").unwrap();
    assert_eq!(provider.stripe_size, 4096);
}

#[test]
fn f11_absurd_indirect_offers_are_clamped() {
    for offer in ["0", "5", "4294967295", "99999999999999999999", "-1", "many"] {
        let scene = Scene::new(54);
        let backend = claims(&scene, &[("feature-max-indirect-segments", Some(offer))]);
        scene
            .storage
            .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
        scene.storage.expect("xbd0", 0, &scene.bytes);
        let indirect = backend.served().indirect;
        assert_eq!(indirect > 0, offer == "4294967295", "{offer}: {indirect}");
    }
}

#[test]
fn f12_absurd_ring_offers_are_clamped() {
    let cases: [(Option<&str>, Option<&str>, u32); 8] = [
        (Some("31"), None, 512),
        (Some("-1"), None, 32),
        (Some("big"), None, 32),
        (Some("4294967296"), None, 32),
        (None, Some("7"), 128),
        (None, Some("0"), 32),
        (Some("4"), Some("2"), 64),
        (Some("1"), Some("16"), 64),
    ];
    for (order, pages, entries) in cases {
        let scene = Scene::new(55);
        let keys = [("max-ring-page-order", order), ("max-ring-pages", pages)];
        let backend = claims(&scene, &keys);
        scene
            .storage
            .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
        let served = backend.served().ring_entries;
        assert_eq!(served, entries, "{order:?} {pages:?}");
    }
}

#[test]
fn f13_queue_offers_are_not_taken() {
    for queues in ["0", "4294967296", "8"] {
        let scene = Scene::new(56);
        let backend = claims(&scene, &[("multi-queue-max-queues", Some(queues))]);
        scene
            .storage
            .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
        let front = backend.vbd().frontend_path();
        let store = scene.storage.toolstack.store();
        assert!(!store.exists(&format!("{front}/multi-queue-num-queues")));
    }
}

/// Attaches a backend that goes through these states and then either goes on honestly or is silent.
fn goes_through(scene: &Scene, states: &[u32], then_silent: bool) -> Blkback {
    scene.attach(BlkbackConfig {
        malice: Malice {
            states: states.to_vec(),
            state_time: Duration::from_millis(5),
            then_silent,
            ..Malice::default()
        },
        ..BlkbackConfig::default()
    })
}

#[test]
fn f14_a_backend_that_never_answers_is_complained_of_and_detached() {
    for states in [&[1][..], &[1, 2], &[1, 7], &[0], &[1, 2, 3], &[1, 2, 5]] {
        let scene = Scene::new(60);
        let backend = goes_through(&scene, states, true);
        scene.storage.run_for(60 * SECOND);
        scene.good_disk_goes_on();
        assert_eq!(scene.storage.created_and_gone(), (1, 0), "{states:?}");
        drop(backend);
        let detach = scene.storage.toolstack.detach(&Storage::vbd(XVDA), true);
        scene
            .storage
            .until("it is detached", |_| detach.outcome().is_some());
        scene.storage.run_for(120 * SECOND);
        assert_eq!(scene.storage.guest.pv.grants.usage().parked, 0);
    }
}

#[test]
fn f14_a_backend_that_never_connects_says_so_once() {
    let scene = Scene::new(61);
    let _backend = goes_through(&scene, &[1, 2], true);
    scene.storage.run_for(600 * SECOND);
    assert_eq!(scene.storage.count_logged("does not connect"), 1);
}

#[test]
fn f14_connected_without_initwait_is_no_connection_of_ours() {
    let scene = Scene::new(62);
    let keys = [("sectors", "32768"), ("sector-size", "512"), ("info", "0")];
    let keys = keys.map(|(key, value)| (key.into(), Some(value.into())));
    let backend = scene.attach(BlkbackConfig {
        malice: Malice {
            keys: keys.into(),
            states: vec![4],
            then_silent: true,
            ..Malice::default()
        },
        ..BlkbackConfig::default()
    });
    scene.storage.run_for(60 * SECOND);
    assert_eq!(scene.storage.created_and_gone(), (1, 0));
    let state = scene.storage.front_state(XVDA);
    assert!(matches!(state.as_deref(), Some("5" | "6")), "{state:?}");
    scene.good_disk_goes_on();
    drop(backend);
    assert!(scene.storage.logged("the backend is not new"));
}

#[test]
fn f14_a_state_that_oscillates_ends_in_peace() {
    for (seed, pair) in [[2, 4], [4, 5], [2, 6], [5, 6], [1, 4], [4, 6]]
        .iter()
        .enumerate()
    {
        let scene = Scene::new(70 + seed as u64);
        let states: Vec<_> = (0..1000).map(|i| pair[i % 2]).collect();
        let backend = goes_through(&scene, &states, true);
        scene.storage.run_for(600 * SECOND);
        scene.good_disk_goes_on();
        let lines = scene.storage.guest.log().len();
        assert!(lines < 200, "{pair:?}: {lines} lines");
        let detach = scene.storage.toolstack.detach(&backend.vbd(), true);
        scene
            .storage
            .until("it is detached", |_| detach.outcome().is_some());
        scene.storage.run_for(120 * SECOND);
        let (created, gone) = scene.storage.created_and_gone();
        assert_eq!(created - gone, 1, "{pair:?}");
        assert_eq!(scene.storage.guest.pv.grants.usage().parked, 0, "{pair:?}");
    }
}

#[test]
fn f14_a_backend_that_closes_each_connection_is_met_ever_more_rarely() {
    let scene = Scene::new(64);
    let backend = scene.attach_ready();
    let mut closed = 0;
    for _ in 0..6000 {
        scene.storage.run_for(Duration::from_millis(10));
        if backend.state() == 4 {
            backend.close();
            closed += 1;
        }
    }
    // A minute: pauses of 20 ms, 40 ms and so on up to 10 s.
    assert!((8..25).contains(&closed), "{closed} connections");
    scene.good_disk_goes_on();
}

#[test]
fn f14_closing_and_then_silence_is_let_go() {
    let scene = Scene::new(63);
    let backend = scene.attach_ready();
    backend.close();
    backend.set_frozen(true);
    scene.storage.until("the frontend is closed", |s| {
        s.front_state(XVDA).as_deref() == Some("6")
    });
    assert_eq!(scene.storage.created_and_gone(), (2, 1));
    scene.good_disk_goes_on();
}

#[test]
fn f16_unknown_info_bits_and_a_write_permission_that_flips() {
    let scene = Scene::new(82);
    let backend = claims(&scene, &[("info", Some("4294967288"))]);
    scene
        .storage
        .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
    scene.storage.write("xbd0", 0, &[1; 512]).unwrap();
    // The backend takes the permission back while the disk is writable: its refusal is an error.
    backend.write_key("info", "4");
    backend.configure(|config| config.read_only = true);
    backend.write_key("state", "4");
    scene.storage.run_for(SECOND);
    let refused = scene.storage.write("xbd0", 0, &[2; 512]);
    assert_eq!(refused.err(), Some(Errno::Io));
    scene.storage.expect("xbd0", 0, &[1; 512]);
    scene.good_disk_goes_on();
}

#[test]
fn f17_pages_kept_mapped_after_the_answer_stay_parked_and_bounded() {
    let scene = Scene::new(83);
    let backend = scene.attach(BlkbackConfig {
        malice: Malice {
            keep_mapped: true,
            ..Malice::default()
        },
        ..BlkbackConfig::default()
    });
    scene
        .storage
        .until("xbd0 is tasted", |s| s.is_ready("xbd0"));
    let pages = scene.storage.holdings().xen.pages;
    for _ in 0..200 {
        scene.storage.expect("xbd0", 0, &scene.bytes);
    }
    assert_eq!(
        scene.storage.holdings().xen.pages,
        pages,
        "no page per request"
    );
    scene.storage.detach(XVDA);
    scene.storage.run_for(SECOND);
    let parked = scene.storage.guest.pv.grants.usage().parked;
    assert!(parked > 0, "what the backend still maps is not used again");
    scene.good_disk_goes_on();
    backend.release_kept();
    scene.storage.run_for(5 * SECOND);
    assert_eq!(scene.storage.guest.pv.grants.usage().parked, 0);
}

#[test]
fn f17_a_backend_that_keeps_the_pages_of_every_connection_is_given_no_more() {
    let scene = Scene::new(84);
    let backend = scene.attach(BlkbackConfig {
        malice: Malice {
            keep_mapped: true,
            ..Malice::default()
        },
        ..BlkbackConfig::default()
    });
    for _ in 0..400 {
        scene.storage.run_for(11 * SECOND);
        if scene.storage.is_ready("xbd0") {
            scene.storage.read("xbd0", 0, 1 << 16).unwrap();
            backend.close();
        }
    }
    assert!(
        scene.storage.logged("still have"),
        "{}",
        scene.storage.guest.log().join("\n")
    );
    scene.good_disk_goes_on();
    another_domain_still_serves_a_disk(&scene);
    let parked = scene.storage.guest.pv.grants.usage().parked;
    assert!(
        parked <= 2048 / 8 + 200,
        "{parked} pages of 2048 are parked"
    );
}

/// What one domain keeps is not held against another.
fn another_domain_still_serves_a_disk(scene: &Scene) {
    let storage = &scene.storage;
    let backend = DomId(7);
    let _driver_domain = storage
        .toolstack
        .create_domain(backend, "other", DomainConfig::default());
    let vbd = Vbd {
        backend,
        ..Storage::vbd(XVDA + 32)
    };
    let config = BlkbackConfig::default();
    let disk = Disk::with(&scene.bytes);
    let _serves = Blkback::attach(&storage.world, &storage.toolstack, vbd, &disk, config);
    storage.until("another domain serves", |s| {
        s.guest.geom.provider("xbd2").is_some()
    });
    storage.expect("xbd2", 0, &scene.bytes);
}

#[test]
fn f25_a_backend_link_to_elsewhere_is_reported() {
    for link in ["/local/domain/0/backend/vbd/1/1", "..", ""] {
        let scene = Scene::new(90);
        let front = Storage::vbd(XVDA).frontend_path();
        let store = scene.storage.toolstack.store();
        for (key, value) in [("backend", link), ("backend-id", "0"), ("state", "1")] {
            store.write(&format!("{front}/{key}"), value);
        }
        scene
            .storage
            .until("an error", |s| s.front_error(XVDA).is_some());
        let error = scene.storage.front_error(XVDA).unwrap();
        assert!(error.contains("is not this device's backend"), "{error}");
        assert!(scene.storage.logged("xbd0: "));
        assert_eq!(scene.storage.created_and_gone(), (1, 0), "{link:?}");
        scene.good_disk_goes_on();
    }
}
