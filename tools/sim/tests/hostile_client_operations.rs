//! A frontend that asks for what it may not, or in another layout, against the shipped backend:
//! B05, B06, B14, B15.

use hv::Access;
use sim::blkback::request::{DISCARD, EOPNOTSUPP, ERROR, FLUSH, OKAY, READ, WRITE, WRITE_BARRIER};
use sim::frontend::{Abi, Ask, bytes, whole};
use sim::scene::pattern;
use sim::{Neighbours, RamConfig};

#[test]
fn b05_what_is_not_offered_is_not_supported() {
    let config = RamConfig {
        flush: false,
        delete: false,
        ..RamConfig::default()
    };
    let scene = Neighbours::with(5, config, Abi::X86_64);
    scene.connect();
    let page = scene.peer.page(Access::ReadOnly, 0xee);
    for key in ["feature-flush-cache", "feature-barrier", "feature-discard"] {
        assert_eq!(scene.peer.backend(key), None, "{key}");
    }
    for operation in [4, 7, 8, 128, 255, FLUSH, WRITE_BARRIER] {
        for segments in [vec![], vec![whole(&page)]] {
            scene.is_refused(&Ask::new(operation, 5, 0, &segments), EOPNOTSUPP);
        }
    }
    for flag in [0, 1, 255] {
        let ask = Ask::Discard {
            flag,
            id: 5,
            sector: 0,
            sectors: 8,
        };
        scene.is_refused(&ask, EOPNOTSUPP);
    }
    scene.is_as_before();
}

#[test]
fn b05_a_secure_discard_is_not_taken_for_a_plain_one() {
    let scene = Neighbours::connected(5);
    scene.exports.disk.put(0, &pattern(4, 1 << 16));
    assert_eq!(scene.peer.backend("feature-discard").as_deref(), Some("1"));
    assert_eq!(scene.peer.backend("discard-secure"), None);
    for flag in [1, 3, 255] {
        let ask = Ask::Discard {
            flag,
            id: 5,
            sector: 0,
            sectors: 8,
        };
        scene.is_refused(&ask, EOPNOTSUPP);
    }
    scene.is_as_before();
}

#[test]
fn b05_discards_are_not_offered_where_the_toolstack_forbids_them() {
    let scene = Neighbours::new(5);
    let vbd = scene.peer.vbd();
    let path = format!("{}/discard-enable", vbd.backend_path());
    scene.exports.toolstack.store().write(&path, "0");
    scene.connect();
    assert_eq!(scene.peer.backend("feature-discard"), None);
    let ask = Ask::discard(0, 8);
    scene.is_refused(&ask, EOPNOTSUPP);
    scene.is_as_before();
}

#[test]
fn b06_nothing_that_writes_reaches_a_disk_that_is_not_to_be_written() {
    for (target, mode) in [("ram0", "r"), ("ram0,ro", "w")] {
        let scene = Neighbours::new(6);
        let (exports, peer) = (&scene.exports, &scene.peer);
        exports.disk.put(0, &pattern(4, 1 << 16));
        let vbd = peer.vbd();
        exports.toolstack.create_vbd_of(vbd, target, mode);
        scene.connect();
        assert_eq!(peer.backend("info").as_deref(), Some("4"));
        let page = peer.page(Access::ReadOnly, 0xee);
        scene.is_refused(&Ask::new(WRITE, 6, 0, &[whole(&page)]), ERROR);
        let list = peer.list(&[whole(&page); 12]);
        scene.is_refused(&Ask::indirect(WRITE, 12, list.reference()), ERROR);
        for operation in [WRITE_BARRIER, FLUSH] {
            let answer = scene.ask(&Ask::new(operation, 6, 0, &[whole(&page)]));
            assert!(answer.status != OKAY, "{answer:?}");
        }
        let answer = scene.ask(&Ask::discard(0, 8));
        assert!(answer.status != OKAY, "{answer:?}");
        assert!(exports.disk.bytes(0, 1 << 16) == pattern(4, 1 << 16));
        assert_eq!(exports.disk.used().writes, 0);
        scene.peer_is_served();
        scene.is_as_before();
    }
}

#[test]
fn b14_a_32_bit_frontend_is_understood_in_every_operation() {
    let scene = Neighbours::with(14, RamConfig::default(), Abi::X86_32);
    scene.connect();
    let peer = &scene.peer;
    scene.exports.disk.put(0, &pattern(4, 1 << 17));
    scene.peer_is_served();
    let page = peer.page(Access::ReadOnly, 0x11);
    for (operation, sector) in [(WRITE, 8), (WRITE_BARRIER, 16), (FLUSH, 24)] {
        let answer = scene.ask(&Ask::new(operation, 1, sector, &[whole(&page)]));
        assert_eq!((answer.operation, answer.status), (operation, OKAY));
        let there = scene.exports.disk.bytes(sector as usize * 512, 4096);
        assert_eq!(there, [0x11; 4096], "{operation}");
    }
    for operation in [WRITE_BARRIER, FLUSH] {
        assert_eq!(scene.ask(&Ask::new(operation, 1, 0, &[])).status, OKAY);
    }
    let pages: Vec<_> = (0..20).map(|_| peer.page(Access::ReadWrite, 0)).collect();
    let segments: Vec<_> = pages.iter().map(whole).collect();
    let list = peer.list(&segments);
    let answer = scene.ask(&Ask::indirect(READ, 20, list.reference()));
    assert_eq!(answer.status, OKAY);
    for (index, page) in pages.iter().enumerate() {
        assert!(bytes(page) == scene.exports.disk.bytes(index * 4096, 4096));
    }
    let answer = scene.ask(&Ask::discard(32, 8));
    assert_eq!((answer.operation, answer.status), (DISCARD, OKAY));
    assert_eq!(scene.exports.disk.bytes(32 * 512, 4096), [0; 4096]);
    scene.is_refused(&Ask::new(255, 1, 0, &[]), EOPNOTSUPP);
    scene.is_as_before();
}

#[test]
fn b15_answers_have_their_size_and_no_more() {
    for abi in [Abi::X86_64, Abi::X86_32] {
        let scene = Neighbours::with(15, RamConfig::default(), abi);
        scene.connect();
        let page = scene.peer.page(Access::ReadWrite, 0);
        let id = 0x1122_3344_5566_7788;
        // Well, badly, and without GEOM.
        for (ask, operation, status) in [
            (Ask::new(READ, id, 8, &[whole(&page)]), READ, OKAY),
            (
                Ask::new(READ, id, 1 << 40 | 8, &[whole(&page)]),
                READ,
                ERROR,
            ),
            (Ask::new(200, id, 8, &[]), 200, EOPNOTSUPP),
        ] {
            let answer = scene.ask(&ask);
            let found = (answer.id, answer.operation, answer.status);
            assert_eq!(found, (id, operation, status));
            assert_eq!(answer.bytes[9], 0);
            // Padding, where the request's id was; or what is no more of a 32-bit answer, where
            // the request's sector was.
            let behind = if abi == Abi::X86_64 { 0 } else { 8 };
            assert_eq!(answer.bytes[12..], [behind, 0, 0, 0], "{ask:?}");
        }
        scene.is_as_before();
    }
}

#[test]
fn what_the_disk_cannot_do_is_answered_with_an_error_and_the_next_is_served() {
    let scene = Neighbours::connected(10);
    let disk = &scene.exports.disk;
    let page = scene.peer.page(Access::ReadWrite, 0xee);
    for errno in [geom::Errno::Io, geom::Errno::NoDevice, geom::Errno::Busy] {
        disk.fail(Some(errno));
        let before = disk.bytes(0, 1 << 20);
        for operation in [READ, WRITE, WRITE_BARRIER, FLUSH] {
            let ask = Ask::new(operation, 1, 0, &[whole(&page)]);
            assert_eq!(scene.ask(&ask).status, ERROR, "{operation}");
        }
        disk.fail(None);
        assert!(disk.bytes(0, 1 << 20) == before);
        scene.peer_is_served();
    }
    scene.is_as_before();
}

#[test]
fn a_barrier_is_flushed_before_it_is_answered_and_a_flush_comes_before_what_it_writes() {
    for (operation, first) in [(WRITE_BARRIER, (1, 0)), (FLUSH, (0, 1))] {
        let scene = Neighbours::connected(2);
        let (peer, disk) = (&scene.peer, &scene.exports.disk);
        let page = peer.page(Access::ReadOnly, 0x5e);
        disk.set_held(true);
        let before = disk.used();
        let done = || {
            let used = disk.used();
            (used.writes - before.writes, used.flushes - before.flushes)
        };
        let ring = peer.ring();
        ring.submit(&Ask::new(operation, 9, 0, &[whole(&page)]));
        for expected in [first, (1, 1)] {
            scene
                .exports
                .until("the disk is asked", || disk.waiting() == 1);
            assert_eq!(ring.answered(), 0);
            disk.release(0);
            assert_eq!(done(), expected, "operation {operation}");
        }
        scene.until_answered(1);
        assert_eq!(ring.take().map(|answer| answer.status), Some(OKAY));
        disk.set_held(false);
        scene.is_as_before();
    }
}
