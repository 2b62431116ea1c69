//! A frontend whose requests cannot be meant, against the shipped backend: B01 to B04,
//! B07 to B09.

use std::time::Duration;

use hv::{Access, DomId, GrantRef, Hypervisor, SharedMem};
use pv::Granted;
use sim::blkback::request::{
    DISCARD, ERROR, FLUSH, INDIRECT, OKAY, READ, Segment, WRITE, WRITE_BARRIER,
};
use sim::exports::DRIVER;
use sim::frontend::{Abi, Ask, bytes, whole};
use sim::scene::pattern;
use sim::{Dom, Neighbours, RamConfig};

#[test]
fn b01_no_segments_or_too_many_are_an_error() {
    let scene = Neighbours::connected(1);
    let page = scene.peer.page(Access::ReadOnly, 0xee);
    let segments = vec![whole(&page); 11];
    for operation in [READ, WRITE] {
        for count in [0, 12, 13, 128, 255] {
            let ask = Ask::Direct {
                operation,
                id: 0xb01,
                sector: 0,
                segments: segments.clone(),
                count,
            };
            scene.is_refused(&ask, ERROR);
        }
    }
    let list = scene.peer.list(&vec![whole(&page); 512]);
    for operation in [READ, WRITE] {
        for count in [0, 513, 4096, 4097, u16::MAX] {
            let ask = Ask::Indirect {
                operation,
                id: 0xb01,
                sector: 0,
                count,
                lists: vec![list.reference(); 8],
            };
            scene.is_refused(&ask, ERROR);
        }
    }
    for operation in [WRITE_BARRIER, FLUSH, DISCARD, INDIRECT, 255] {
        let ask = Ask::indirect(operation, 1, list.reference());
        scene.is_refused(&ask, ERROR);
    }
    scene.is_as_before();
}

#[test]
fn b02_segments_outside_their_page_are_an_error() {
    for sector_size in [512, 4096] {
        let config = RamConfig {
            sector_size,
            ..RamConfig::default()
        };
        let scene = Neighbours::with(2, config, Abi::X86_64);
        scene.connect();
        let page = scene.peer.page(Access::ReadOnly, 0xee);
        let mut bad = vec![(1, 0), (7, 0), (0, 8), (7, 8), (0, 255), (255, 255), (8, 8)];
        if sector_size == 4096 {
            bad.extend([(0, 0), (0, 3), (4, 7), (1, 7)]);
        }
        for (first, last) in bad {
            let segment = Segment {
                page: page.reference(),
                first,
                last,
            };
            // Alone, and behind a good one.
            for segments in [vec![segment], vec![whole(&page), segment]] {
                let ask = Ask::new(WRITE, 2, 0, &segments);
                scene.is_refused(&ask, ERROR);
                let list = scene.peer.list(&segments);
                let count = u16::try_from(segments.len()).expect("two");
                let ask = Ask::indirect(WRITE, count, list.reference());
                scene.is_refused(&ask, ERROR);
            }
        }
        if sector_size == 4096 {
            // Two halves make no sector, though their bytes would do.
            let half = |first, last| Segment {
                page: page.reference(),
                first,
                last,
            };
            let ask = Ask::new(WRITE, 2, 0, &[half(0, 3), half(4, 7)]);
            scene.is_refused(&ask, ERROR);
        }
        scene.is_as_before();
    }
}

#[test]
fn b03_what_lies_beyond_the_end_is_an_error() {
    let scene = Neighbours::connected(3);
    let page = scene.peer.page(Access::ReadOnly, 0xee);
    let capacity = (1 << 20) / 512;
    for sector in [
        capacity - 7,
        capacity,
        capacity + 1,
        1 << 32,
        u64::MAX / 512,
        u64::MAX / 512 + 1,
        u64::MAX - 7,
        u64::MAX,
    ] {
        scene.is_refused(&Ask::new(WRITE, 3, sector, &[whole(&page)]), ERROR);
        scene.is_refused(&Ask::new(READ, 3, sector, &[whole(&page)]), ERROR);
    }
    for (sector, sectors) in [
        (0, capacity + 1),
        (capacity, 1),
        (1, capacity),
        (8, u64::MAX),
        (8, u64::MAX - 7),
        (u64::MAX, 8),
        (1 << 55, 8),
        (0, 1 << 55),
    ] {
        let ask = Ask::discard(sector, sectors);
        scene.is_refused(&ask, ERROR);
    }
    scene.is_as_before();
}

#[test]
fn b03_a_sector_that_the_disk_does_not_have_alone_is_an_error() {
    let config = RamConfig {
        sector_size: 4096,
        ..RamConfig::default()
    };
    let scene = Neighbours::with(3, config, Abi::X86_64);
    scene.connect();
    let page = scene.peer.page(Access::ReadOnly, 0xee);
    for sector in [1, 4, 7, 9] {
        scene.is_refused(&Ask::new(WRITE, 3, sector, &[whole(&page)]), ERROR);
    }
    for (sector, sectors) in [(1, 8), (0, 4)] {
        let ask = Ask::discard(sector, sectors);
        scene.is_refused(&ask, ERROR);
    }
    scene.is_as_before();
}

#[test]
fn b04_pages_that_are_not_the_backend_s_to_use_are_an_error() {
    let scene = Neighbours::connected(4);
    let (peer, pv) = (&scene.peer, scene.peer.pv());
    scene.exports.disk.put(0, &pattern(4, 1 << 16));
    let read_only = peer.page(Access::ReadOnly, 0xee);
    let good = peer.page(Access::ReadWrite, 0xee);
    let page = pv.hv.alloc_page().expect("a page");
    let granted = pv.grants.grant(page, DomId(0), Access::ReadWrite);
    let not_ours = granted.expect("a grant").reference();
    let revoked = peer.page(Access::ReadWrite, 0xee).reference();
    let segment = |page| Segment {
        page,
        first: 0,
        last: 7,
    };
    for bad in [
        GrantRef(0),
        GrantRef(1),
        GrantRef(4000),
        GrantRef(u32::MAX),
        not_ours,
        revoked,
    ] {
        for segments in [vec![segment(bad)], vec![segment(bad), whole(&good)]] {
            scene.is_refused(&Ask::new(READ, 4, 0, &segments), ERROR);
        }
    }
    scene.is_refused(&Ask::new(READ, 4, 0, &[whole(&read_only)]), ERROR);
    assert_eq!(bytes(&read_only), [0xee; 4096]);
    // The other one that good page stood beside may have been read into: it is the peer's own.
    scene.is_as_before();
}

#[test]
fn b04_a_write_from_a_page_that_is_not_there_writes_nothing() {
    let scene = Neighbours::connected(4);
    scene.exports.disk.put(0, &pattern(4, 1 << 16));
    for bad in [GrantRef(4000), GrantRef(0)] {
        let segment = Segment {
            page: bad,
            first: 0,
            last: 7,
        };
        scene.is_refused(&Ask::new(WRITE, 4, 0, &[segment; 3]), ERROR);
    }
    scene.is_as_before();
}

#[test]
fn b04_one_page_in_many_segments_is_the_peer_s_own_affair() {
    let scene = Neighbours::connected(4);
    let page = scene.peer.page(Access::ReadWrite, 0xee);
    scene.exports.disk.put(0, &pattern(4, 1 << 16));
    let answer = scene.ask(&Ask::new(READ, 4, 0, &[whole(&page); 11]));
    assert_eq!(answer.status, OKAY);
    assert!(bytes(&page) == scene.exports.disk.bytes(10 * 4096, 4096));
    let answer = scene.ask(&Ask::new(WRITE, 4, 128, &[whole(&page); 2]));
    assert_eq!(answer.status, OKAY);
    let twice = bytes(&page).repeat(2);
    assert!(scene.exports.disk.bytes(1 << 16, 8192) == twice);
    scene.is_as_before();
}

#[test]
fn b07_ids_are_echoed_whatever_they_are() {
    let scene = Neighbours::connected(7);
    let (peer, ring) = (&scene.peer, scene.peer.ring());
    scene.exports.disk.put(0, &pattern(4, 1 << 17));
    scene.exports.disk.set_held(true);
    let pages: Vec<_> = (0..32).map(|_| peer.page(Access::ReadWrite, 0)).collect();
    let id = |index: u64| match index % 4 {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << 63,
        _ => 12345,
    };
    for (page, index) in pages.iter().zip(0..) {
        ring.put(&Ask::new(READ, id(index), index * 8, &[whole(page)]));
    }
    ring.publish();
    ring.notify();
    scene
        .exports
        .until("all are held", || scene.exports.disk.waiting() == 32);
    scene.exports.disk.set_held(false);
    scene.until_answered(32);
    let mut answered: Vec<_> = ring.take_all().iter().map(|answer| answer.id).collect();
    let mut asked: Vec<_> = (0..32).map(id).collect();
    answered.sort_unstable();
    asked.sort_unstable();
    assert_eq!(answered, asked);
    for (index, page) in pages.iter().enumerate() {
        assert!(bytes(page) == scene.exports.disk.bytes(index * 4096, 4096));
    }
    scene.is_as_before();
}

#[test]
fn b08_the_list_of_an_indirect_request_is_the_one_that_was_read_first() {
    let scene = Neighbours::connected(8);
    let peer = &scene.peer;
    scene.exports.disk.put(0, &pattern(4, 1 << 17));
    let pages: Vec<_> = (0..20).map(|_| peer.page(Access::ReadWrite, 0)).collect();
    let other = peer.page(Access::ReadWrite, 0xee);
    let segments: Vec<_> = pages.iter().map(whole).collect();
    let list = peer.list(&segments);
    let evil = sim::frontend::ask::describe(&Segment {
        last: 255,
        ..whole(&other)
    });
    let frame = peer.frame(&list);
    frame.set_snoop(Some(Box::new(move |frame, reader, _, _| {
        assert_eq!(reader, DRIVER);
        for index in 0..20 {
            frame.poke(index * 8, &evil);
        }
    })));
    let answer = scene.ask(&Ask::indirect(READ, 20, list.reference()));
    assert_eq!(answer.status, OKAY);
    for (index, page) in pages.iter().enumerate() {
        assert!(bytes(page) == scene.exports.disk.bytes(index * 4096, 4096));
    }
    assert_eq!(bytes(&other), [0xee; 4096]);
    frame.set_snoop(None);
    // One that is not there.
    let gone = list.reference();
    drop(list);
    scene.is_refused(&Ask::indirect(READ, 20, gone), ERROR);
    scene.is_refused(&Ask::indirect(READ, 20, GrantRef(4000)), ERROR);
    scene.is_as_before();
}

#[test]
fn b08_an_indirect_request_moves_all_of_its_two_megabytes() {
    let config = RamConfig {
        size: 4 << 20,
        ..RamConfig::default()
    };
    let scene = Neighbours::with(8, config, Abi::X86_64);
    scene.connect();
    let peer = &scene.peer;
    scene.exports.disk.put(0, &pattern(4, 4 << 20));
    let pages: Vec<_> = (0..512).map(|_| peer.page(Access::ReadWrite, 0)).collect();
    let segments: Vec<_> = pages.iter().map(whole).collect();
    let list = peer.list(&segments);
    let answer = scene.ask(&Ask::indirect(READ, 512, list.reference()));
    assert_eq!((answer.status, answer.operation), (OKAY, READ));
    for (index, page) in pages.iter().enumerate() {
        assert!(
            bytes(page) == scene.exports.disk.bytes(index * 4096, 4096),
            "{index}"
        );
    }
    scene.is_as_before();
}

/// Pages of the peer's that the driver domain maps besides its ring.
fn kept(scene: &Neighbours) -> usize {
    scene.exports.world.usage(DomId(2)).mapped_by_peers - 1
}

/// Connected, and the peer uses the same pages again and again.
fn persistent(seed: u64) -> Neighbours {
    let scene = Neighbours::new(seed);
    scene.peer.write("feature-persistent", "1");
    scene.connect();
    assert_eq!(
        scene.peer.backend("feature-persistent").as_deref(),
        Some("1")
    );
    scene
}

/// Reads the first page of the disk into `page`, and finds what is there.
fn read_into(scene: &Neighbours, page: &Granted<Dom>) {
    page.fill(0, 4096, 0xee);
    let answer = scene.ask(&Ask::new(READ, 9, 0, &[whole(page)]));
    assert_eq!(answer.status, OKAY);
    assert!(bytes(page) == scene.exports.disk.bytes(0, 4096));
}

#[test]
fn b09_pages_stay_mapped_up_to_a_number_and_the_rest_is_copied() {
    let scene = persistent(9);
    let pages: Vec<_> = (0..1100)
        .map(|_| scene.peer.page(Access::ReadWrite, 0))
        .collect();
    for again in 1..=2 {
        for page in &pages[..100] {
            read_into(&scene, page);
        }
        assert_eq!(kept(&scene), 100, "the {again}. time");
    }
    for page in &pages {
        read_into(&scene, page);
    }
    assert_eq!(kept(&scene), 1056);
    assert!(pages[1055].is_mapped() && !pages[1056].is_mapped());
    scene.is_as_before();
    assert!(!pages[0].is_mapped());
}

#[test]
fn b09_whatever_the_feature_says_later_changes_nothing() {
    for first in ["0", "1"] {
        let scene = Neighbours::new(9);
        scene.peer.write("feature-persistent", first);
        scene.connect();
        let page = scene.peer.page(Access::ReadWrite, 0);
        for second in ["0", "1"] {
            scene.peer.write("feature-persistent", second);
            read_into(&scene, &page);
            assert_eq!(kept(&scene), usize::from(first == "1"));
        }
        scene.is_as_before();
    }
}

#[test]
fn b09_after_a_page_that_may_not_be_written_nothing_new_stays_mapped() {
    let scene = persistent(9);
    let kept_page = scene.peer.page(Access::ReadWrite, 0);
    read_into(&scene, &kept_page);
    let read_only = scene.peer.page(Access::ReadOnly, 0x5a);
    let write = Ask::new(WRITE, 1, 8, &[whole(&read_only)]);
    assert_eq!(scene.ask(&write).status, OKAY);
    assert_eq!(scene.exports.disk.bytes(4096, 4096), [0x5a; 4096]);
    let read = Ask::new(READ, 2, 0, &[whole(&read_only)]);
    assert_eq!(scene.ask(&read).status, ERROR, "it may not be written");
    read_into(&scene, &scene.peer.page(Access::ReadWrite, 0));
    read_into(&scene, &kept_page);
    assert_eq!(kept(&scene), 1);
    scene.is_as_before();
}

#[test]
fn b09_a_page_taken_back_while_it_is_mapped_is_the_frontends_loss_alone() {
    let scene = persistent(9);
    let page = scene.peer.page(Access::ReadWrite, 0);
    read_into(&scene, &page);
    let segment = whole(&page);
    assert!(page.end().is_none(), "it is parked");
    let answer = scene.ask(&Ask::new(READ, 1, 0, &[segment]));
    assert_eq!(answer.status, OKAY, "it is mapped");
    scene.is_as_before();
    scene.peer.pv().grants.sweep();
    assert_eq!(scene.peer.pv().grants.usage().parked, 0);
}

#[test]
fn b09_pages_of_a_ring_that_makes_no_sense_are_let_go_before_the_disk_is_done() {
    let scene = persistent(9);
    let disk = &scene.exports.disk;
    let page = scene.peer.page(Access::ReadWrite, 0x33);
    let ring = scene.peer.ring();
    disk.set_held(true);
    ring.submit(&Ask::new(READ, 1, 0, &[whole(&page)]));
    scene
        .exports
        .until("the disk is asked", || disk.waiting() == 1);
    assert!(page.is_mapped());
    ring.claim(ring.produced().wrapping_add(1 << 20));
    ring.notify();
    scene.exports.until("the backend closes", || {
        scene.peer.backend_state() == Some(6)
    });
    assert_eq!(disk.waiting(), 1);
    assert!(!page.is_mapped());
    disk.set_held(false);
    scene.exports.run_for(Duration::from_secs(1));
    assert_eq!(bytes(&page), [0x33; 4096]);
    scene.is_as_before();
}
