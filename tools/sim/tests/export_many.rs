//! Many exports of one driver domain: xenstore's quotas (X06), and who gets how much of a disk.

use std::time::Duration;

use sim::exports::DRIVER;
use sim::xenstored::Permission;
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

/// Where the driver domain has nodes that only use up its quota.
const FILL: &str = "/local/domain/9/data/fill";

/// Leaves the driver domain so many of its 1,000 nodes.
fn leave_nodes(exports: &Exports, left: usize) {
    let store = exports.toolstack.store();
    store.remove(FILL);
    let own = Permission {
        dom: DRIVER,
        letter: 'n',
    };
    let used = store.usage(DRIVER).nodes;
    store.write(FILL, "");
    store.set_permissions(FILL, &[own]);
    for index in used + 1..1000 - left {
        store.write(&format!("{FILL}/{index}"), "");
    }
    assert_eq!(store.usage(DRIVER).nodes, 1000 - left);
}

#[test]
fn x06_however_many_nodes_are_left_the_last_export_is_refused_in_words() {
    let exports = Exports::new(7);
    let first = exports.peer(100, "ram0,ro");
    exports.connect(&first);
    let mut id = 100;
    let mut gone = Vec::new();
    // The toolstack makes about fifteen nodes for each. From one to the next as many more.
    for left in 60..80 {
        leave_nodes(&exports, left);
        let mut peers: Vec<Frontend> = Vec::new();
        loop {
            id += 1;
            let peer = exports.peer(id, "ram0,ro");
            exports.run_for(SECOND / 2);
            let offered = peer.backend_state() == Some(2);
            let complaint = peer.backend("hotplug-error");
            assert_ne!(offered, complaint.is_some(), "{left} left: {complaint:?}");
            if offered {
                exports.connect(&peer);
            }
            peers.push(peer);
            if let Some(text) = complaint {
                assert!(text.contains("too many exports"), "{left} left: {text}");
                break;
            }
        }
        assert!(peers.len() > 1, "{left} left: one has room");
        for peer in [&first].into_iter().chain(&peers[..peers.len() - 1]) {
            is_served(&exports, peer);
        }
        for peer in &peers {
            exports.detached(&exports.toolstack.detach(peer.vbd(), true));
        }
        // Each goes a moment later, and its ring later still.
        exports.run_for(SECOND);
        gone.append(&mut peers);
    }
}
