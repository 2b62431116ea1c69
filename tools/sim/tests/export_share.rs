//! Who gets how much of a driver domain that many use at once.

use std::time::Duration;

use hv::Access;
use sim::blkback::request::{OKAY, READ};
use sim::frontend::{Ask, whole};
use sim::{Exports, Frontend, RamConfig};

/// Everything that a frontend may ask for at once, of the largest requests there are: it puts a new
/// one for each answer.
struct Greedy {
    peer: Frontend,
    list: pv::Granted<sim::Dom>,
    _page: pv::Granted<sim::Dom>,
}

impl Greedy {
    fn new(exports: &Exports, id: u16, target: &str) -> Self {
        let peer = exports.peer(id, target);
        exports.toolstack.create_vbd_of(peer.vbd(), target, "w!");
        exports.connect_with(&peer, 4, 4);
        let page = peer.page(Access::ReadWrite, 0);
        let list = peer.list(&vec![whole(&page); 512]);
        let greedy = Self {
            peer,
            list,
            _page: page,
        };
        greedy.ask();
        greedy
    }

    fn ask(&self) {
        for ring in self.peer.rings() {
            let _answers = ring.take_all();
            while ring.outstanding() < ring.entries() {
                ring.put(&Ask::indirect(READ, 512, self.list.reference()));
            }
            ring.publish();
            ring.notify();
        }
    }
}

fn exports(seed: u64) -> Exports {
    let config = RamConfig {
        size: 4 << 20,
        ..RamConfig::default()
    };
    Exports::with(seed, config)
}

/// A frontend that asks for little.
fn modest(exports: &Exports, id: u16) -> (Frontend, pv::Granted<sim::Dom>) {
    let peer = exports.peer(id, "ram0");
    exports.toolstack.create_vbd_of(peer.vbd(), "ram0", "w!");
    exports.connect(&peer);
    let page = peer.page(Access::ReadWrite, 0);
    (peer, page)
}

#[test]
fn who_asks_for_little_waits_for_a_few_pieces_of_who_asks_for_much() {
    // The disk does one piece after the other, in their order.
    let exports = exports(1);
    let (peer, page) = modest(&exports, 2);
    exports.disk.set_held(true);
    let greedy = Greedy::new(&exports, 3, "ram0");
    let ring = peer.ring();
    for round in 0..100 {
        greedy.ask();
        exports.run_for(Duration::from_millis(1));
        ring.submit(&Ask::new(READ, round, 0, &[whole(&page)]));
        let mut pieces = 0;
        while ring.answered() == 0 {
            exports.run_for(Duration::from_micros(200));
            if exports.disk.waiting() > 0 {
                exports.disk.release(0);
                pieces += 1;
            }
            greedy.ask();
            assert!(pieces <= 10, "{pieces} pieces went before");
        }
        assert_eq!(ring.take().map(|answer| answer.status), Some(OKAY));
    }
    assert!(
        exports.disk.used().reads > 500,
        "there was little to wait for"
    );
}

#[test]
fn a_disk_that_answers_at_once_is_shared_in_turns() {
    let exports = exports(2);
    let (peer, page) = modest(&exports, 2);
    let greedy: Vec<_> = (3..6).map(|id| Greedy::new(&exports, id, "ram0")).collect();
    let ring = peer.ring();
    let mut most = 0;
    for round in 0..50 {
        greedy.iter().for_each(Greedy::ask);
        // In the middle of their work.
        exports.run_for(Duration::from_micros(20));
        let before = exports.disk.used().reads;
        ring.submit(&Ask::new(READ, round, 0, &[whole(&page)]));
        exports.until("the answer", || ring.answered() == 1);
        assert_eq!(ring.take().map(|answer| answer.status), Some(OKAY));
        most = most.max(exports.disk.used().reads - before);
    }
    // Pieces of 128 KiB, and so 32 MiB that are asked for in each round.
    assert!(most > 0 && most <= 24, "{most} reads went before");
}

#[test]
fn a_client_whose_disk_hangs_keeps_nobody_from_another() {
    let exports = exports(3);
    let other = sim::RamDisk::create(&exports.driver, 1, RamConfig::default());
    exports.disk.set_held(true);
    let _greedy = Greedy::new(&exports, 3, "ram0");
    let peer = exports.peer(2, "ram1");
    exports.connect(&peer);
    let page = peer.page(Access::ReadWrite, 0);
    let ring = peer.ring();
    for round in 0..100 {
        ring.submit(&Ask::new(READ, round, 0, &[whole(&page)]));
        exports.until("the answer", || ring.answered() == 1);
        assert_eq!(ring.take().map(|answer| answer.status), Some(OKAY));
    }
    assert!(exports.disk.waiting() > 0);
    assert_eq!(other.used().reads, 100 + other.used().reads - 100);
}
