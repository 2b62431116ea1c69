//! A device that the toolstack takes away and makes anew, or that is there at boot in a state that
//! a former life left.

use std::time::Duration;

use sim::storage::{GUEST, XVDA};
use sim::{Blkback, BlkbackConfig, Disk, DomainConfig, Guest, Malice, Storage, Toolstack, World};

const SECOND: Duration = Duration::from_secs(1);

fn serve(storage: &Storage) -> Blkback {
    let store = storage.toolstack.store();
    let config = BlkbackConfig::default();
    Blkback::start(
        &storage.world,
        store,
        Storage::vbd(XVDA),
        &Disk::new(),
        config,
    )
}

/// Takes both directories away and makes them anew after `pause`: with none, as a guest sees it
/// that was paused meanwhile.
fn make_anew(storage: &Storage, pause: Duration) {
    let vbd = Storage::vbd(XVDA);
    let store = storage.toolstack.store();
    store.together(&[(&vbd.frontend_path(), None), (&vbd.backend_path(), None)]);
    if !pause.is_zero() {
        storage.run_for(pause);
    }
    storage.toolstack.create_vbd(&vbd, false);
}

#[test]
fn s47_a_device_made_anew_at_any_moment_is_served() {
    for seed in 0..400 {
        let storage = Storage::new(seed);
        let rng = storage.world.rng();
        let latency = Duration::from_micros(1 + rng.below(3000));
        storage.toolstack.store().set_latency(latency);
        let backend = storage.attach(XVDA, &Disk::new(), BlkbackConfig::default());
        storage.run_for(Duration::from_micros(rng.below(150_000)));
        backend.crash();
        let pause = rng.below(4) * rng.below(20_000);
        make_anew(&storage, Duration::from_micros(pause));
        // The hotplug script takes its time.
        storage.run_for(Duration::from_micros(rng.below(100_000)));
        let _backend = serve(&storage);
        storage.run_for(30 * SECOND);
        assert!(
            storage.is_ready("xbd0"),
            "seed {seed}\n{}",
            storage.guest.log().join("\n")
        );
        let (created, gone) = storage.created_and_gone();
        assert_eq!(created - gone, 1, "seed {seed}");
    }
}

#[test]
fn s47_a_device_made_anew_before_its_backend_connected_is_served() {
    let storage = Storage::new(1);
    let config = BlkbackConfig {
        malice: Malice {
            states: vec![1, 2],
            then_silent: true,
            ..Malice::default()
        },
        ..BlkbackConfig::default()
    };
    let backend = storage.attach(XVDA, &Disk::new(), config);
    storage.until("the ring is published", |s| {
        s.front_state(XVDA).as_deref() == Some("3")
    });
    backend.crash();
    make_anew(&storage, Duration::ZERO);
    let _backend = serve(&storage);
    storage.until("xbd0 is tasted", |s| s.is_ready("xbd0"));
}

#[test]
fn s47_a_device_made_anew_after_it_failed_is_served() {
    let storage = Storage::new(2);
    let config = BlkbackConfig {
        sector_size: 3,
        ..BlkbackConfig::default()
    };
    let backend = storage.attach(XVDA, &Disk::new(), config);
    storage.until("it has failed", |s| {
        s.front_state(XVDA).as_deref() == Some("6")
    });
    backend.crash();
    make_anew(&storage, Duration::ZERO);
    let _backend = serve(&storage);
    storage.until("xbd0 is tasted", |s| s.is_ready("xbd0"));
}

#[test]
fn f25_a_device_with_a_bad_link_is_served_when_it_is_made_anew() {
    let storage = Storage::new(3);
    let vbd = Storage::vbd(XVDA);
    storage.toolstack.create_vbd(&vbd, false);
    let link = format!("{}/backend", vbd.frontend_path());
    storage.toolstack.store().write(&link, "/local/domain/7");
    storage.until("it is refused", |s| {
        s.logged("is not this device's backend")
    });
    make_anew(&storage, Duration::ZERO);
    let _backend = serve(&storage);
    storage.until("xbd0 is tasted", |s| s.is_ready("xbd0"));
}

#[test]
fn f14_a_device_left_in_any_two_states_at_boot_is_settled() {
    for own in 0..10 {
        for back in 0..10 {
            for online in ["0", "1"] {
                let config = DomainConfig::default();
                let vbd = Storage::vbd(XVDA);
                let world = World::new(own * 10 + back);
                let toolstack = Toolstack::start(&world);
                let guest = Guest::with_disks(&world, &toolstack, GUEST, config);
                toolstack.create_vbd(&vbd, false);
                let store = toolstack.store();
                store.write(&format!("{}/state", vbd.frontend_path()), own.to_string());
                store.write(&format!("{}/state", vbd.backend_path()), back.to_string());
                store.write(&format!("{}/online", vbd.backend_path()), online);
                let blkfront = guest.blkfront.clone();
                let settled = guest.spawn(&world, async move {
                    if let Some(blkfront) = blkfront {
                        blkfront.settled().await;
                    }
                });
                world.run_for(60 * SECOND).expect("no law is broken");
                assert!(
                    settled.borrow().is_some(),
                    "own {own}, backend {back}, online {online}: {}",
                    guest.log().join("\n")
                );
            }
        }
    }
}
