//! What toolstacks do: X06, the frontend's part.

use std::time::Duration;

use hv::DomId;
use sim::storage::{GUEST, XVDA};
use sim::{Blkback, BlkbackConfig, Disk, DomainConfig, Guest, Storage, Toolstack, Vbd, World};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn x06_a_domain_destroyed_at_any_moment_of_an_attach_leaves_the_backend_nothing() {
    for seed in 0..60 {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let config = DomainConfig::default();
        let guest = Guest::with_disks(&world, &toolstack, GUEST, config);
        let vbd = Storage::vbd(XVDA);
        let config = BlkbackConfig::default();
        let backend = Blkback::attach(&world, &toolstack, vbd, &Disk::new(), config);
        let moment = Duration::from_micros(world.rng().below(3000));
        assert_eq!(world.run_for(moment), Ok(()));
        toolstack.destroy_domain(GUEST);
        drop(guest);
        // libxl removes the devices of a domain that is gone by force.
        let detach = toolstack.detach(&vbd, true);
        assert_eq!(world.run_for(20 * SECOND), Ok(()));
        assert!(matches!(detach.outcome(), Some(Ok(_))), "seed {seed}");
        assert!(!backend.is_connected(), "seed {seed}");
        assert_eq!(world.usage(GUEST).mapped_by_peers, 0, "seed {seed}");
        assert_eq!(world.usage(DomId(0)).mappings, 0, "seed {seed}");
    }
}

#[test]
fn x06_a_backend_domain_that_comes_back_serves_a_new_device() {
    for seed in 0..8 {
        a_backend_domain_comes_back(seed);
    }
}

fn a_backend_domain_comes_back(seed: u64) {
    const DRIVER_DOMAIN: DomId = DomId(7);
    let storage = Storage::new(seed);
    let toolstack = &storage.toolstack;
    let before = storage.holdings();
    for round in 0..10 {
        // A restarted domain has a new number.
        let id = DomId(DRIVER_DOMAIN.0 + round);
        toolstack.create_domain(id, "storage", DomainConfig::default());
        let vbd = Vbd {
            backend: id,
            ..Storage::vbd(XVDA)
        };
        let bytes = [u8::try_from(round).expect("a few"); 4096];
        let disk = Disk::with(&bytes);
        let config = BlkbackConfig::default();
        let backend = Blkback::attach(&storage.world, toolstack, vbd, &disk, config);
        storage.until("xbd0 is tasted", |s| s.is_ready("xbd0"));
        storage.expect("xbd0", 0, &bytes);
        backend.crash();
        toolstack.destroy_domain(id);
        storage.until("xbd0 is gone", |s| s.guest.geom.provider("xbd0").is_none());
        // The frontend's nodes stay until the administrator detaches.
        let detach = toolstack.detach(&vbd, true);
        storage.until("it is detached", |_| detach.outcome().is_some());
    }
    assert_eq!(storage.created_and_gone(), (10, 10));
    storage.run_for(120 * SECOND);
    assert_eq!(storage.holdings(), before, "seed {seed}");
}

#[test]
fn x06_sixty_four_disks_fit_the_default_quotas() {
    let config = DomainConfig {
        pages: 16384,
        ..DomainConfig::default()
    };
    let storage = Storage::with(7, config);
    let before = storage.holdings();
    let number = |disk: u32| {
        if disk < 16 {
            XVDA + disk * 16
        } else {
            1 << 28 | disk << 8
        }
    };
    // A large ring's nodes would use up the quota of 1000 nodes.
    let config = BlkbackConfig {
        ring_order: None,
        ..BlkbackConfig::default()
    };
    let backends: Vec<_> = (0..64)
        .map(|disk| storage.attach(number(disk), &Disk::new(), config.clone()))
        .collect();
    storage.until("all are there", |s| {
        (0..64).all(|disk| s.is_ready(&format!("xbd{disk}")))
    });
    for backend in &backends {
        storage.detach(backend.vbd().devid);
    }
    assert_eq!(storage.created_and_gone(), (64, 64));
    storage.run_for(120 * SECOND);
    assert_eq!(storage.holdings(), before);
}

#[test]
fn x03_a_device_with_hardly_a_node_left_gets_a_small_ring() {
    let storage = Storage::new(9);
    let store = storage.guest.store.clone();
    let used = storage.ask(async move {
        let mut used = 0;
        while used < 2000 && store.write(&format!("data/{used}"), "").await.is_ok() {
            used += 1;
        }
        // The device's own nodes, and the few of a small ring.
        for number in 0..15 {
            store.remove(&format!("data/{number}")).await?;
        }
        Ok::<_, xenbus::StoreError>(used)
    });
    assert!(used.is_ok_and(|used| used < 1000));
    let bytes = [0x33; 4096];
    let backend = storage.attach_ready(&Disk::with(&bytes), BlkbackConfig::default());
    assert_eq!(backend.served().ring_entries, 32);
    storage.expect("xbd0", 0, &bytes);
}

#[test]
fn s57_a_disk_is_served_while_xenstored_is_silent() {
    let storage = Storage::new(57);
    let bytes = [0x57; 8192];
    let backend = storage.attach_ready(&Disk::with(&bytes), BlkbackConfig::default());
    let store = storage.toolstack.store();
    // The guest hears of the new size, and then nothing any more.
    backend.resize(65536);
    storage.run_for(Duration::from_micros(60));
    store.set_silent(true);
    for _ in 0..30 {
        let before = storage.world.now();
        storage.expect("xbd0", 0, &bytes);
        let took = storage.world.now().since(before);
        assert!(took < SECOND, "{took:?}");
        storage.run_for(10 * SECOND);
    }
    store.set_silent(false);
    storage.until("the new size", |s| {
        let provider = s.guest.geom.provider("xbd0");
        provider.is_some_and(|provider| provider.media_size == 65536 * 512)
    });
    storage.expect("xbd0", 0, &bytes);
    assert_eq!(storage.created_and_gone(), (1, 0));
}
