//! What is written when the domain dies, in the middle of whatever was going on.

use hv::SharedMem;
use xen_abi::io::xs_wire::{CONNECTION, RECONNECT, kind};

use super::daemon::Rig;
use crate::dying::LastWrite;

/// Sends what there is room for; how much that was.
fn send(rig: &mut Rig, message: &[u8]) -> usize {
    rig.connection
        .send_last(message)
        .expect("the ring is sound")
}

#[test]
fn it_goes_behind_the_message_that_is_half_sent() {
    let mut rig = Rig::new();
    let store = rig.store.clone();
    // Longer than the ring: its rest is still here.
    let long = "x".repeat(1500);
    let value = long.clone();
    let _waiting = rig.start(async move { store.write("data/long", &value).await });
    rig.turn().unwrap();
    let last = LastWrite::new("backend/vbd/2/51712/state", "5");
    assert_eq!(send(&mut rig, last.bytes()), 0, "there is no room");
    let half = rig.read_raw();
    assert_eq!(half.len(), 0, "half a message");
    assert_eq!(send(&mut rig, last.bytes()), last.bytes().len());
    let all = rig.read_raw();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].payload, format!("data/long\0{long}").into_bytes());
    assert_eq!(all[1].kind, kind::WRITE);
    assert_eq!(all[1].payload, b"backend/vbd/2/51712/state\x005");
}

#[test]
fn answers_are_taken_so_that_the_daemon_goes_on() {
    let mut rig = Rig::new();
    rig.fill_answers();
    assert_eq!(rig.room_for_answers(), 0);
    send(&mut rig, b"");
    assert_eq!(rig.room_for_answers(), 1024);
}

#[test]
fn a_ring_that_is_not_connected_is_left_alone() {
    let mut rig = Rig::new();
    rig.page.store_u32(CONNECTION, RECONNECT);
    let last = LastWrite::new("state", "5");
    assert!(rig.connection.send_last(last.bytes()).is_err());
    // Without a way to the ring it is given up at once.
    assert!(rig.store.write_last(&last));
}
