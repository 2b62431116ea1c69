//! The shipped backend with the shipped frontend, end to end.

use std::time::Duration;

use blkback::target::Declarations;
use geom::{Access, Errno};
use hv::DomId;
use sim::blkback::request::READ;
use sim::frontend::{Ask, whole};
use sim::scene::pattern;
use sim::{DomainConfig, Exports, Guest, RamConfig, RamDisk, Vbd};

const SECOND: Duration = Duration::from_secs(1);

/// The client finds on its disk what is on the driver domain's.
fn reads_all(exports: &Exports, client: &Guest, length: usize) {
    let read = exports.read(client, 0, length);
    assert!(read == Ok(exports.disk.bytes(0, length)));
}

#[test]
fn what_is_written_is_on_the_disk_and_what_is_on_the_disk_is_read() {
    for sector_size in [512, 4096] {
        let config = RamConfig {
            sector_size,
            ..RamConfig::default()
        };
        let exports = Exports::with(1, config);
        exports.disk.put(0, &pattern(3, 1 << 20));
        let client = exports.client(1);
        reads_all(&exports, &client, 1 << 20);
        let ranges = [
            (0, 4096),
            (8192, 1 << 16),
            (1 << 19, 1 << 19),
            (4096, 12288),
        ];
        for (at, length) in ranges {
            let bytes = pattern(at, length);
            let written = exports.write(&client, at as u64, &bytes);
            assert_eq!(written, Ok(()));
            assert!(exports.disk.bytes(at, length) == bytes, "{length} at {at}");
        }
        reads_all(&exports, &client, 1 << 20);
        let provider = client.geom.provider("xbd0").expect("the disk");
        assert_eq!(provider.sector_size, sector_size);
        assert!(exports.disk.used().flushes >= 4);
    }
}

#[test]
fn a_disk_that_takes_small_pieces_only_is_served_in_small_pieces() {
    let config = RamConfig {
        max_io: 4096,
        ..RamConfig::default()
    };
    let exports = Exports::with(2, config);
    let client = exports.client(1);
    let bytes = pattern(5, 1 << 20);
    assert_eq!(exports.write(&client, 0, &bytes), Ok(()));
    assert!(exports.disk.bytes(0, 1 << 20) == bytes);
    reads_all(&exports, &client, 1 << 20);
    assert!(exports.disk.used().writes >= 256);
}

#[test]
fn many_requests_at_once_that_take_their_time_all_end_well() {
    for seed in 0..5 {
        let exports = Exports::new(seed);
        let client = exports.client(1);
        exports.disk.set_latency(Duration::from_millis(2));
        let mut pending = Vec::new();
        for index in 0..64u64 {
            let bytes = pattern(index as usize, 1 << 14);
            pending.push(exports.begin_write(&client, index << 14, bytes));
        }
        exports.until("all writes are done", || {
            pending.iter().all(|write| write.outcome().is_some())
        });
        assert!(pending.iter().all(|one| one.outcome() == Some(Ok(1 << 14))));
        for index in 0..64usize {
            let there = exports.disk.bytes(index << 14, 1 << 14);
            assert!(there == pattern(index, 1 << 14), "{index}");
        }
        reads_all(&exports, &client, 1 << 20);
    }
}

#[test]
fn a_disk_without_flushes_is_served_without_flushes() {
    let config = RamConfig {
        flush: false,
        ..RamConfig::default()
    };
    let exports = Exports::with(3, config);
    let client = exports.client(1);
    let written = exports.write(&client, 0, &pattern(1, 4096));
    assert_eq!(written, Err(Errno::NotSupported));
    assert!(exports.disk.bytes(0, 4096) == pattern(1, 4096));
}

#[test]
fn a_client_that_may_not_write_is_told_so() {
    let read_only = RamConfig {
        read_only: true,
        ..RamConfig::default()
    };
    for (target, mode, config) in [
        ("ram0", "r", RamConfig::default()),
        ("ram0,ro", "w", RamConfig::default()),
        ("ram0", "r", read_only),
    ] {
        let exports = Exports::with(4, config);
        exports.disk.put(0, &pattern(3, 4096));
        let client = exports.guest(1);
        let vbd = Exports::xvda(1);
        exports.toolstack.create_vbd_of(&vbd, target, mode);
        exports.until("xbd0", || client.geom.provider("xbd0").is_some());
        reads_all(&exports, &client, 4096);
        let opened = client.geom.open("xbd0", Access::READ_WRITE);
        assert_eq!(opened.map(drop).map_err(|e| e.errno), Err(Errno::ReadOnly));
    }
}

#[test]
fn a_disk_has_one_writer_unless_the_toolstack_says_otherwise() {
    let exports = Exports::new(5);
    let first = exports.client(1);
    let vbd = Exports::xvda(2);
    let second = exports.guest(2);
    let complaint = || {
        let path = format!("{}/hotplug-error", vbd.backend_path());
        exports.toolstack.store().read(&path)
    };
    for mode in ["w", "w!"] {
        exports.toolstack.create_vbd_of(&vbd, "ram0", mode);
        exports.until("the complaint", || complaint().is_some());
        let text = complaint().expect("a complaint");
        assert!(text.contains("held by blkback 1/51712"), "{mode}: {text}");
        exports.detach(&vbd);
    }
    exports.detach(&Exports::xvda(1));
    let (one, other) = (Exports::xvda(1), vbd);
    exports.toolstack.create_vbd_of(&one, "ram0", "w!");
    exports.toolstack.create_vbd_of(&other, "ram0", "w!");
    exports.until("both", || {
        [&first, &second]
            .iter()
            .all(|guest| guest.geom.provider("xbd0").is_some())
    });
    assert_eq!(exports.write(&first, 0, &pattern(1, 4096)), Ok(()));
    exports.run_for(SECOND);
    reads_all(&exports, &second, 4096);
}

#[test]
fn s53_another_size_is_passed_on_while_the_disk_is_in_use() {
    let exports = Exports::new(6);
    let client = exports.client(1);
    exports.disk.set_latency(Duration::from_micros(300));
    for size in [1 << 19, 1 << 20, 1 << 18, 3 << 18] {
        let pending: Vec<_> = (0..8)
            .map(|index| exports.begin_read(&client, index << 14, 1 << 14))
            .collect();
        exports.disk.resize(size);
        exports.until("the new size", || {
            let provider = client.geom.provider("xbd0").expect("the disk stays");
            provider.media_size == size
        });
        exports.until("the reads are done", || {
            pending
                .iter()
                .all(|read| read.outcome() == Some(Ok(1 << 14)))
        });
        reads_all(&exports, &client, 1 << 18);
    }
    let read = exports.read(&client, 3 << 18, 4096);
    assert_eq!(read, Err(Errno::BeyondEnd));
}

#[test]
fn s58_a_disk_that_goes_takes_the_client_s_along_and_brings_it_back() {
    for seed in 0..20 {
        let exports = Exports::new(seed);
        let client = exports.client(1);
        let rng = exports.world.rng();
        for _ in 0..3 {
            exports.disk.set_latency(Duration::from_millis(2));
            let pending: Vec<_> = (0..30)
                .map(|index| match index % 2 {
                    0 => exports.begin_read(&client, index << 14, 1 << 14),
                    _ => exports.begin_write(&client, index << 14, vec![7; 1 << 14]),
                })
                .collect();
            exports.run_for(Duration::from_micros(rng.below(3000)));
            exports.disk.pull();
            exports.until("every request has ended", || {
                pending.iter().all(|one| one.outcome().is_some())
            });
            exports.until("the client's disk is gone", || {
                client.geom.provider("xbd0").is_none()
            });
            exports.run_for(Duration::from_millis(rng.below(7000)));
            exports.disk.set_latency(Duration::ZERO);
            exports.disk.plug_in(&exports.driver);
            exports.until("the client has its disk again", || {
                client.geom.provider("xbd0").is_some() && client.geom.is_settled()
            });
            reads_all(&exports, &client, 1 << 16);
        }
        let counters = client.geom.counters();
        assert_eq!(
            counters.disks_created - counters.disks_gone,
            1,
            "seed {seed}"
        );
        assert_eq!(counters.requests, 0, "seed {seed}");
        exports.run_for(60 * SECOND);
        assert_eq!(client.pv.grants.usage().parked, 0, "seed {seed}");
    }
}

#[test]
fn a_target_that_is_not_there_in_time_is_complained_of() {
    let exports = Exports::new(8);
    let client = exports.guest(1);
    let vbd = Exports::xvda(1);
    let complaint = || {
        let path = format!("{}/hotplug-error", vbd.backend_path());
        exports.toolstack.store().read(&path)
    };
    for (target, why) in [
        ("ram7", "there is no provider ram7"),
        ("", "names no provider"),
        ("ram0,rw", "unknown option"),
    ] {
        exports.attach(&vbd, target);
        exports.until("the complaint", || complaint().is_some());
        let text = complaint().expect("a complaint");
        assert!(text.contains(why), "{text}");
        exports.detach(&vbd);
        let error = "/local/domain/9/error/backend";
        assert!(!exports.toolstack.store().exists(error));
    }
    assert!(client.geom.provider("xbd0").is_none());
    // One that comes a little later is served.
    exports.disk.pull();
    exports.attach(&vbd, "ram0");
    exports.run_for(5 * SECOND);
    exports.disk.plug_in(&exports.driver);
    exports.until("xbd0", || client.geom.provider("xbd0").is_some());
}

#[test]
fn where_exports_are_declared_there_are_no_others() {
    let exports = Exports::new(10);
    let (world, toolstack) = (&exports.world, &exports.toolstack);
    let mut server = Guest::with_disks(world, toolstack, DomId(20), DomainConfig::default());
    let disk = RamDisk::create(&server, 0, RamConfig::default());
    let _other = RamDisk::create(&server, 1, RamConfig::default());
    let mut declarations = Declarations::default();
    declarations.declare("root:ram0,ro").expect("a declaration");
    server.serve(declarations);
    disk.put(0, &pattern(9, 4096));
    let client = exports.guest(1);
    let vbd = Vbd {
        backend: DomId(20),
        ..Exports::xvda(1)
    };
    for target in ["ram0", "ram1", "md0"] {
        exports.attach(&vbd, target);
        let path = format!("{}/hotplug-error", vbd.backend_path());
        exports.until("the complaint", || toolstack.store().exists(&path));
        let text = toolstack.store().read(&path).expect("a complaint");
        assert!(
            text.contains(&format!("{target:?} is none of the exports")),
            "{text}"
        );
        exports.detach(&vbd);
    }
    exports.attach(&vbd, "root");
    exports.until("xbd0", || client.geom.provider("xbd0").is_some());
    assert_eq!(exports.read(&client, 0, 4096), Ok(pattern(9, 4096)));
    let refused = client.geom.open("xbd0", Access::READ_WRITE);
    assert!(refused.is_err(), "it is read-only");
}

#[test]
fn a_size_that_changes_before_anybody_connects_is_told_who_does() {
    let exports = Exports::new(4);
    let peer = exports.peer(2, "ram0");
    exports.until("the offer", || peer.backend_state() == Some(2));
    exports.disk.resize(1 << 19);
    exports.run_for(SECOND);
    assert_eq!(peer.backend_state(), Some(2));
    exports.connect(&peer);
    assert_eq!(peer.backend("sectors").as_deref(), Some("1024"));
}

#[test]
fn a_request_that_is_asked_for_as_a_whole_leaves_the_next_turn_to_those_behind_it() {
    let exports = Exports::new(6);
    let peer = exports.peer(2, "ram0");
    exports.connect(&peer);
    exports.disk.set_held(true);
    let page = peer.page(hv::Access::ReadWrite, 0);
    let list = peer.list(&[whole(&page); 64]);
    let ring = peer.ring();
    // Each is a turn's share, and all together are what one may have of the disk.
    for _ in 0..4 {
        ring.put(&Ask::indirect(READ, 64, list.reference()));
    }
    ring.publish();
    ring.notify();
    let turns = || exports.driver.pv.exec.turns();
    exports.until("the first is asked for", || exports.disk.waiting() == 2);
    let begun = turns();
    exports.until("all are asked for", || exports.disk.waiting() == 8);
    assert_eq!(turns() - begun, 3);
    exports.disk.set_held(false);
    exports.until("all are answered", || ring.answered() == 4);
}
