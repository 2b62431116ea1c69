//! What a domain that dies still says.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use geom::disk::{DISK_VERSION, Disk, DiskBio, DiskLimits, DiskParams};
use sim::blkback::request::{ERROR, READ};
use sim::exports::DRIVER;
use sim::frontend::{Ask, whole};
use sim::{DomainConfig, Exports, Guest, RamConfig, RamDisk, Toolstack, World};

use super::Blkback;
use crate::target::Declarations;

/// A driver domain with a memory disk, and what serves it.
fn serving(seed: u64) -> (Exports, Blkback<sim::Dom>) {
    let world = World::new(seed);
    let toolstack = Toolstack::start(&world);
    let driver = Guest::start(&world, &toolstack, DRIVER, DomainConfig::default());
    let (pv, store, geom) = (&driver.pv, &driver.store, &driver.geom);
    let blkback = Blkback::start(pv, store, geom, Declarations::default());
    let disk = RamDisk::create(&driver, 0, RamConfig::default());
    let exports = Exports {
        driver,
        disk,
        toolstack,
        world,
    };
    (exports, blkback)
}

#[test]
fn a_client_that_was_detached_is_answered_also_when_the_exports_are_being_changed() {
    let (exports, blkback) = serving(1);
    let peer = exports.peer(2, "ram0");
    exports.connect(&peer);
    exports.detached(&exports.toolstack.detach(peer.vbd(), true));
    let page = peer.page(hv::Access::ReadWrite, 0);
    peer.ring().submit(&Ask::new(READ, 7, 8, &[whole(&page)]));

    // As when there is no memory for one more of them.
    blkback.0.exports.change(|_| {
        assert!(blkback.last_words());
    });
    let answer = peer.ring().take().expect("an answer");
    assert_eq!((answer.id, answer.status), (7, ERROR));
}

#[test]
fn clients_are_answered_and_told_to_close_also_when_the_exports_are_being_changed() {
    let (exports, blkback) = serving(3);
    let peer = exports.peer(2, "ram0");
    exports.connect(&peer);
    let page = peer.page(hv::Access::ReadWrite, 0);
    peer.ring().submit(&Ask::new(READ, 7, 8, &[whole(&page)]));

    // As when there is no memory for one more of them.
    blkback.0.exports.change(|_| {
        assert!(blkback.last_words() & blkback.close_last(&exports.driver.store));
    });
    exports.world.halt_domain(DRIVER);
    let answer = peer.ring().take().expect("an answer");
    assert_eq!((answer.id, answer.status), (7, ERROR));
    exports.run_for(Duration::from_millis(50));
    assert_eq!(peer.backend_state(), Some(5), "and it is told to close");
}

/// A disk in the driver of which the domain dies at the third request, and not before it `may`.
struct Deadly {
    blkback: Blkback<sim::Dom>,
    store: xenbus::Store,
    may: Rc<Cell<bool>>,
    left: u32,
    died: Rc<Cell<bool>>,
    held: Vec<DiskBio>,
}

impl Disk for Deadly {
    fn strategy(&mut self, bio: DiskBio) {
        self.held.push(bio);
        if self.may.get() {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 && !self.died.replace(true) {
                // As the epitaph calls it: with everything in the hands of those who called this.
                assert!(self.blkback.last_words() & self.blkback.close_last(&self.store));
            }
        }
    }

    fn gone(self: Box<Self>) {}
}

#[test]
fn everybody_is_answered_when_the_work_on_a_request_is_what_kills_the_domain() {
    let (exports, blkback) = serving(2);
    let (may, died) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let deadly = Deadly {
        blkback: blkback.clone(),
        store: exports.driver.store.clone(),
        may: may.clone(),
        left: 3,
        died: died.clone(),
        held: Vec::new(),
    };
    let params = DiskParams {
        version: DISK_VERSION,
        sector_size: 512,
        limits: DiskLimits {
            max_io: 1 << 16,
            max_delete: 0,
            can_delete: false,
            can_flush: true,
            can_erase: false,
            delete_granularity: 0,
        },
        ..DiskParams::new("deadly", 0, 1 << 20)
    };
    let geom = &exports.driver.geom;
    let _handle = geom.disk_create(params, Box::new(deadly)).expect("a disk");
    let peer = exports.peer(2, "deadly0");
    exports.connect(&peer);
    let page = peer.page(hv::Access::ReadWrite, 0);
    may.set(true);
    for id in 1..=5 {
        peer.ring().put(&Ask::new(READ, id, 8, &[whole(&page)]));
    }
    peer.ring().publish();
    peer.ring().notify();
    exports.until("it dies", || died.get());
    exports.world.halt_domain(DRIVER);
    let answers = peer.ring().take_all();
    let mut ids: Vec<u64> = answers.iter().map(|answer| answer.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4, 5], "each once, also what was not begun");
    assert!(answers.iter().all(|answer| answer.status == ERROR));
    assert!(!blkback.last_words());
    exports.run_for(Duration::from_millis(50));
    assert_eq!(peer.backend_state(), Some(5), "and it is told to close");
}
