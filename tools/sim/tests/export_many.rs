//! Many exports of one driver domain: xenstore's quotas (X06), and who gets how much of a disk.

use std::time::Duration;

use sim::{Exports, Frontend};

const SECOND: Duration = Duration::from_secs(1);

/// The peer reads, and is answered.
fn is_served(exports: &Exports, peer: &Frontend) {
    let ring = peer.ring();
    let page = peer.page(hv::Access::ReadWrite, 0xee);
    let ask = sim::frontend::Ask::new(0, 7, 0, &[sim::frontend::whole(&page)]);
    ring.submit(&ask);
    exports.until("the answer", || ring.answered() == 1);
    let answer = ring.take().map(|answer| answer.status);
    assert_eq!(answer, Some(0));
}

#[test]
fn x06_as_many_exports_as_the_quotas_allow_are_served_and_the_next_is_told_why_not() {
    let exports = Exports::new(6);
    let attach = |id: u16| {
        let peer = exports.peer(id, "ram0");
        exports.toolstack.create_vbd_of(peer.vbd(), "ram0", "w!");
        exports.until("an offer or a complaint", || {
            peer.backend_state() == Some(2) || peer.backend("hotplug-error").is_some()
        });
        peer
    };
    let mut served = Vec::new();
    let refused = loop {
        let peer = attach(100 + u16::try_from(served.len()).expect("few"));
        if peer.backend_state() != Some(2) {
            break peer;
        }
        exports.connect(&peer);
        served.push(peer);
        assert!(served.len() < 200, "there is no end");
    };
    println!("{} exports", served.len());
    assert!(served.len() >= 32, "{}", served.len());
    let text = refused.backend("hotplug-error").unwrap_or_default();
    assert!(text.contains("too many exports"), "{text}");
    for peer in &served {
        is_served(&exports, peer);
        assert_eq!(peer.backend_state(), Some(4));
    }
    exports.detach(refused.vbd());
    let other = attach(99);
    assert!(other.backend("hotplug-error").is_some());
    exports.detach(other.vbd());
    // When one leaves, another may come.
    let first = served.remove(0);
    let detach = exports.toolstack.detach(first.vbd(), true);
    exports.detached(&detach);
    exports.run_for(SECOND);
    let next = attach(98);
    exports.connect(&next);
    is_served(&exports, &next);
    for peer in &served {
        is_served(&exports, peer);
    }
}
