//! How an export of the shipped backend to the shipped frontend ends: detached, forced, with its
//! client's domain, with the driver domain.

use std::time::Duration;

use geom::Errno;
use hv::DomId;
use sim::scene::pattern;
use sim::storage::{Pending, XVDA};
use sim::{Exports, Guest};

const SECOND: Duration = Duration::from_secs(1);

/// Thirty reads and writes of a client, which the disk takes its time for.
fn busy(exports: &Exports, client: &Guest) -> Vec<Pending> {
    exports.disk.set_latency(Duration::from_millis(2));
    let begin = |index: u64| match index % 2 {
        0 => exports.begin_read(client, index << 14, 1 << 14),
        _ => exports.begin_write(client, index << 14, vec![7; 1 << 14]),
    };
    (0..30).map(begin).collect()
}

/// What the driver domain holds, with a client that has been there and left.
fn settled(exports: &Exports) -> sim::guest::Holdings {
    exports.run_for(5 * SECOND);
    exports.driver.holdings(&exports.toolstack)
}

#[test]
fn x06_a_detach_at_any_moment_ends_every_request_and_leaves_nothing() {
    for seed in 0..60 {
        let exports = Exports::new(seed);
        let client = exports.client(1);
        exports.detach(&Exports::xvda(1));
        let before = settled(&exports);
        exports.attach(&Exports::xvda(1), "ram0");
        exports.until("xbd0", || {
            client.geom.provider("xbd0").is_some() && client.geom.is_settled()
        });
        let pending = busy(&exports, &client);
        let rng = exports.world.rng();
        exports.run_for(Duration::from_micros(rng.below(4000)));
        let force = rng.one_in(2);
        let detach = exports.toolstack.detach(&Exports::xvda(1), force);
        exports.detached(&detach);
        exports.until("every request has ended", || {
            pending.iter().all(|one| one.outcome().is_some())
        });
        assert!(client.geom.provider("xbd0").is_none());
        assert_eq!(settled(&exports), before, "seed {seed}");
        assert_eq!(client.geom.counters().dropped_bios, 0);
        exports.run_for(60 * SECOND);
        assert_eq!(client.pv.grants.usage().parked, 0, "seed {seed}");
    }
}

#[test]
fn x06_a_client_s_domain_destroyed_at_any_moment_leaves_nothing() {
    for seed in 0..100 {
        let exports = Exports::new(seed);
        let former = exports.client(1);
        exports.detach(&Exports::xvda(1));
        drop(former);
        let before = settled(&exports);
        let client = exports.guest(2);
        let vbd = Exports::xvda(2);
        let rng = exports.world.rng();
        // Half of them before they are connected.
        if rng.one_in(2) {
            exports.attach(&vbd, "ram0");
            exports.run_for(Duration::from_micros(rng.below(4000)));
        } else {
            exports.attach(&vbd, "ram0");
            exports.until("xbd0", || {
                client.geom.provider("xbd0").is_some() && client.geom.is_settled()
            });
            let _pending = busy(&exports, &client);
            exports.run_for(Duration::from_micros(rng.below(4000)));
        }
        exports.toolstack.destroy_domain(DomId(2));
        drop(client);
        exports.detached(&exports.toolstack.detach(&vbd, true));
        assert_eq!(
            exports.world.usage(DomId(2)).mapped_by_peers,
            0,
            "seed {seed}"
        );
        assert_eq!(settled(&exports), before, "seed {seed}");
        // The disk is the next one's.
        let next = exports.client(3);
        assert!(exports.read(&next, 0, 4096).is_ok(), "seed {seed}");
    }
}

#[test]
fn x06_a_device_attached_again_at_once_is_served() {
    for seed in 0..60 {
        let exports = Exports::new(seed);
        let client = exports.client(1);
        let vbd = Exports::xvda(1);
        let rng = exports.world.rng();
        let _pending = busy(&exports, &client);
        exports.run_for(Duration::from_micros(rng.below(4000)));
        // As by somebody who does not wait for anybody.
        let store = exports.toolstack.store();
        store.together(&[(&vbd.frontend_path(), None), (&vbd.backend_path(), None)]);
        exports.run_for(Duration::from_micros(rng.below(3) * rng.below(4000)));
        exports.attach(&vbd, "ram0");
        exports.run_for(20 * SECOND);
        assert!(
            client.geom.provider("xbd0").is_some(),
            "seed {seed}\n{}",
            exports.driver.log().join("\n")
        );
        let read = exports.read(&client, 0, 4096);
        assert_eq!(read, Ok(exports.disk.bytes(0, 4096)), "seed {seed}");
    }
}

#[test]
fn x06_a_device_attached_again_while_its_requests_are_stuck_waits_for_them_quietly() {
    let exports = Exports::new(1);
    let client = exports.client(1);
    let vbd = Exports::xvda(1);
    exports.disk.set_latency(7 * SECOND);
    let _pending = exports.begin_read(&client, 0, 4096);
    exports.run_for(SECOND);
    let store = exports.toolstack.store();
    store.together(&[(&vbd.frontend_path(), None), (&vbd.backend_path(), None)]);
    // Long enough to be seen to be gone.
    exports.run_for(Duration::from_millis(100));
    exports.attach(&vbd, "ram0");
    let asked = || exports.driver.store.usage().requests;
    let before = asked();
    exports.run_for(4 * SECOND);
    let while_stuck = asked() - before;
    assert!(while_stuck < 100, "{while_stuck} requests in four seconds");
    exports.disk.set_latency(Duration::from_millis(1));
    exports.run_for(20 * SECOND);
    let read = exports.read(&client, 0, 4096);
    assert_eq!(read, Ok(exports.disk.bytes(0, 4096)));
}

#[test]
fn a_detach_does_not_wait_for_a_disk_that_does_not_come() {
    for force in [false, true] {
        let exports = Exports::new(1);
        let vbd = Exports::xvda(1);
        let _client = exports.guest(1);
        exports.attach(&vbd, "ram7");
        exports.run_for(SECOND);
        let detach = exports.toolstack.detach(&vbd, force);
        exports.detached(&detach);
        let took = detach.outcome().expect("an outcome").expect("detached");
        // The directory stays for two seconds, for libxl to read Closed.
        assert!(took < 4 * SECOND, "{took:?}");
    }
}

#[test]
fn a_driver_domain_that_ends_answers_every_request_and_serves_nobody_any_more() {
    for seed in 0..30 {
        let exports = Exports::new(seed);
        let clients: Vec<_> = (0..4u16)
            .map(|index| {
                let disk = sim::RamDisk::create(
                    &exports.driver,
                    u32::from(index) + 1,
                    sim::RamConfig {
                        size: 1 << 18,
                        ..sim::RamConfig::default()
                    },
                );
                disk.set_latency(Duration::from_millis(2));
                let client = exports.guest(index + 1);
                exports.attach(&Exports::xvda(index + 1), &disk.name());
                (client, disk)
            })
            .collect();
        exports.until("all have their disks", || {
            let has =
                |client: &Guest| client.geom.provider("xbd0").is_some() && client.geom.is_settled();
            clients.iter().all(|(client, _)| has(client))
        });
        let pending: Vec<_> = clients
            .iter()
            .flat_map(|(client, _)| {
                (0..20).map(|index| exports.begin_read(client, index << 12, 1 << 12))
            })
            .collect();
        let rng = exports.world.rng();
        exports.run_for(Duration::from_micros(rng.below(3000)));
        let begun = exports.world.now();
        let closed = exports.close();
        exports.until("the driver domain has closed", || closed.borrow().is_some());
        let took = exports.world.now().since(begun);
        assert!(took < SECOND, "seed {seed}: {took:?}");
        // From here on the domain may be gone.
        exports.toolstack.destroy_domain(sim::exports::DRIVER);
        exports.until("every request has ended", || {
            pending.iter().all(|one| one.outcome().is_some())
        });
        let fates: Vec<_> = pending.iter().filter_map(Pending::outcome).collect();
        let expected =
            |fate: &Result<usize, Errno>| matches!(fate, Ok(4096) | Err(Errno::NoDevice));
        assert!(fates.iter().all(expected), "seed {seed}: {fates:?}");
    }
}

#[test]
fn a_driver_domain_that_ends_does_not_begin_to_serve() {
    let exports = Exports::new(3);
    let peer = exports.peer(1, "ram0");
    exports.connect(&peer);
    let closed = exports.close();
    exports.until("the frontend is asked", || peer.backend_state() == Some(5));
    // The toolstack knows nothing of this.
    let _disk = sim::RamDisk::create(&exports.driver, 1, sim::RamConfig::default());
    let _client = exports.guest(2);
    let late = Exports::xvda(2);
    exports.attach(&late, "ram1");
    exports.run_for(SECOND);
    assert!(closed.borrow().is_none());
    let state = format!("{}/state", late.backend_path());
    assert_eq!(exports.toolstack.store().read(&state).as_deref(), Some("1"));
    peer.set_state(6);
    exports.until("the driver domain has closed", || closed.borrow().is_some());
    exports.run_for(30 * SECOND);
    assert_eq!(exports.toolstack.store().read(&state).as_deref(), Some("1"));
}

#[test]
fn a_driver_domain_that_ends_waits_five_seconds_for_a_client_that_does_not_close() {
    let exports = Exports::new(4);
    let peer = exports.peer(1, "ram0");
    exports.connect(&peer);
    let begun = exports.world.now();
    let closed = exports.close();
    exports.until("the driver domain has closed", || closed.borrow().is_some());
    let took = exports.world.now().since(begun);
    assert!((5 * SECOND..6 * SECOND).contains(&took), "{took:?}");
    assert_eq!(peer.backend_state(), Some(6));
}

#[test]
fn a_driver_domain_that_ends_does_not_wait_for_disks_that_do_not_come() {
    let exports = Exports::new(5);
    let _client = exports.guest(1);
    exports.attach(&Exports::xvda(1), "ram7");
    exports.run_for(SECOND);
    let begun = exports.world.now();
    let closed = exports.close();
    exports.until("the driver domain has closed", || closed.borrow().is_some());
    let took = exports.world.now().since(begun);
    assert!(took < SECOND, "{took:?}");
}

#[test]
fn x06_a_driver_domain_that_comes_back_serves_new_devices() {
    let exports = Exports::new(6);
    let client = exports.client(1);
    exports
        .write(&client, 0, &pattern(1, 4096))
        .expect("written");
    let pending = busy(&exports, &client);
    exports.toolstack.destroy_domain(sim::exports::DRIVER);
    exports.until("the client's disk is gone", || {
        client.geom.provider("xbd0").is_none()
    });
    assert!(pending.iter().all(|one| one.outcome().is_some()));
    let vbd = Exports::xvda(1);
    exports.detached(&exports.toolstack.detach(&vbd, true));
    // Restarted, it has another number.
    let id = DomId(20);
    let config = sim::DomainConfig::default();
    let driver = Guest::with_exports(&exports.world, &exports.toolstack, id, config);
    let disk = sim::RamDisk::create(&driver, 0, sim::RamConfig::default());
    disk.put(0, &pattern(9, 4096));
    let vbd = sim::Vbd {
        backend: id,
        guest: DomId(1),
        devid: XVDA,
    };
    exports.attach(&vbd, "ram0");
    exports.until("xbd0", || client.geom.provider("xbd0").is_some());
    assert_eq!(exports.read(&client, 0, 4096), Ok(pattern(9, 4096)));
}

#[test]
fn a_driver_domain_that_dies_tells_its_clients_to_close() {
    for seed in 0..30 {
        let exports = Exports::new(seed);
        let blkback = exports.driver.blkback.clone().expect("it has a backend");
        let store = exports.driver.store.clone();
        assert!(!blkback.close_last(&store), "nobody is connected");
        let client = exports.client(1);
        let pending = busy(&exports, &client);
        let rng = exports.world.rng();
        exports.run_for(Duration::from_micros(rng.below(4000)));
        // From here on nothing of the driver domain runs but what the epitaph calls, for a second.
        exports.world.halt_domain(sim::exports::DRIVER);
        for _ in 0..100 {
            let _again = blkback.last_words() | blkback.close_last(&store);
            exports.run_for(Duration::from_millis(10));
        }
        exports.toolstack.destroy_domain(sim::exports::DRIVER);
        assert!(client.geom.provider("xbd0").is_none(), "seed {seed}");
        let ended = pending.iter().all(|one| one.outcome().is_some());
        assert!(ended, "seed {seed}: a request has no answer");
    }
}
