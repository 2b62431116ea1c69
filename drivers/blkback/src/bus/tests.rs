//! What a domain that dies still says.

use sim::blkback::request::{ERROR, READ};
use sim::exports::DRIVER;
use sim::frontend::{Ask, whole};
use sim::{DomainConfig, Exports, Guest, RamConfig, RamDisk, Toolstack, World};

use super::Blkback;
use crate::target::Declarations;

#[test]
fn a_client_that_was_detached_is_answered_also_when_the_exports_are_being_changed() {
    let world = World::new(1);
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
    let peer = exports.peer(2, "ram0");
    exports.connect(&peer);
    exports.detached(&exports.toolstack.detach(peer.vbd(), true));
    let page = peer.page(hv::Access::ReadWrite, 0);
    peer.ring().submit(&Ask::new(READ, 7, 8, &[whole(&page)]));

    // As when there is no memory for one more of them.
    let _changed = blkback.0.exports.borrow_mut();
    assert!(blkback.last_words());
    let answer = peer.ring().take().expect("an answer");
    assert_eq!((answer.id, answer.status), (7, ERROR));
}
