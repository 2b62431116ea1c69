//! Frontends that are driven by hand: what they may not reach, and when they have let go.

use std::time::Duration;

use geom::{Access, Errno};
use hv::DomId;
use sim::blkback::request::{DISCARD, ERROR, READ, WRITE};
use sim::frontend::{Ask, bytes, whole};
use sim::scene::pattern;
use sim::storage::{XVDA, mbr};
use sim::{Disk, Vbd};

use super::setting::{MIDDLE, Setting};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn b03_what_is_beyond_a_part_of_another_vcpus_disk_is_not_its_clients() {
    const START: u32 = 8;
    const SECTORS: u32 = 16;
    let setting = Setting::with(5, [Disk::new(), Disk::with(&mbr(&[(START, SECTORS)]))]);
    let around = pattern(9, 64 * 512);
    let beyond = u64::from(START + SECTORS) * 512;
    setting.disks[1].write(beyond, &around);
    let peer = setting.peer(31, "xbd1s1");
    let page = peer.page(hv::Access::ReadWrite, 0xee);
    let wraps = |back: u64| 0u64.wrapping_sub(back);
    let sectors = [
        u64::from(SECTORS),
        u64::from(SECTORS) - 1,
        u64::from(SECTORS) + 40,
        1 << 40,
        // 512 times these, or with the start of the part, is small again.
        1 << 55,
        (1 << 55) - u64::from(START),
        wraps(1),
        wraps(u64::from(START)),
        wraps(8),
    ];
    for (sector, id) in sectors.into_iter().zip(1..) {
        for operation in [READ, WRITE] {
            peer.ring()
                .submit(&Ask::new(operation, id, sector, &[whole(&page)]));
            setting
                .machine
                .until("it is answered", |_| peer.ring().answered() > 0);
            let answer = peer.ring().take().expect("an answer");
            assert_eq!(
                (answer.id, answer.status),
                (id, ERROR),
                "sector {sector:#x}"
            );
        }
        assert_eq!(bytes(&page), vec![0xee; 4096], "nothing was read");
    }
    for (sector, count) in [
        (0, u64::from(SECTORS) + 1),
        (u64::from(SECTORS), 8),
        (wraps(8), 8),
    ] {
        peer.ring().submit(&Ask::discard(sector, count));
        setting
            .machine
            .until("it is answered", |_| peer.ring().answered() > 0);
        let answer = peer.ring().take().expect("an answer");
        assert_ne!(answer.status, 0, "{DISCARD}: sector {sector:#x}");
    }
    setting.machine.run_for(SECOND);
    assert_eq!(setting.disks[1].bytes(0, 512), mbr(&[(START, SECTORS)]));
    assert_eq!(setting.disks[1].bytes(beyond, around.len()), around);
    // What is inside is its own, to the last sector.
    let inside = Ask::new(WRITE, 99, u64::from(SECTORS) - 8, &[whole(&page)]);
    peer.ring().submit(&inside);
    setting
        .machine
        .until("it is answered", |_| peer.ring().answered() > 0);
    assert_eq!(peer.ring().take().map(|answer| answer.status), Some(0));
    assert_eq!(
        setting.disks[1].bytes(beyond - 4096, 4096),
        vec![0xee; 4096]
    );
}

#[test]
fn who_takes_over_a_provider_waits_for_the_last_request_of_who_had_it() {
    let setting = Setting::new(7);
    let first = setting.peer(31, "xbd1");
    setting.backends[1].set_held(true);
    let page = first.page(hv::Access::ReadOnly, 0x11);
    first.ring().submit(&Ask::new(WRITE, 1, 0, &[whole(&page)]));
    setting.machine.run_for(SECOND);
    let vbd = Vbd {
        guest: DomId(31),
        backend: MIDDLE,
        devid: XVDA,
    };
    // The frontend does not close, and the disk does not answer.
    setting.machine.toolstack.detach(&vbd, true);
    setting.machine.run_for(20 * SECOND);
    let geom = &setting.machine.domain.geom;
    let refused = geom.open("xbd1", Access::EXCLUSIVE).map(drop);
    assert_eq!(refused.map_err(|why| why.errno), Err(Errno::NotPermitted));
    setting.backends[1].set_held(false);
    setting.machine.run_for(SECOND);
    assert!(geom.open("xbd1", Access::EXCLUSIVE).is_ok());
}

#[test]
fn an_export_that_is_made_anew_is_served_when_the_former_one_has_let_go() {
    for seed in 0..10 {
        let setting = Setting::new(seed);
        let peer = setting.peer(31, "xbd0");
        let page = peer.page(hv::Access::ReadOnly, 0x11);
        setting.backends[0].set_held(true);
        peer.ring().submit(&Ask::new(WRITE, 1, 0, &[whole(&page)]));
        setting.machine.run_for(SECOND);
        // It is done as far as it is concerned; the disk holds up the backend.
        peer.set_state(6);
        setting.machine.run_for(SECOND);
        let vbd = Vbd {
            guest: DomId(31),
            backend: MIDDLE,
            devid: XVDA,
        };
        let store = setting.machine.toolstack.store().clone();
        store.together(&[(&vbd.frontend_path(), None), (&vbd.backend_path(), None)]);
        setting.machine.toolstack.create_vbd_of(&vbd, "xbd1", "w");
        setting.machine.run_for(SECOND);
        setting.backends[0].set_held(false);
        let state = || store.read(&format!("{}/state", vbd.backend_path()));
        setting
            .machine
            .until("it is offered", |_| state().as_deref() == Some("2"));
        setting.machine.run_for(10 * SECOND);
        assert_eq!(state().as_deref(), Some("2"), "seed {seed}");
        assert_eq!(
            store.read(&format!("{}/hotplug-error", vbd.backend_path())),
            None
        );
    }
}

#[test]
fn an_export_whose_provider_is_written_anew_is_the_other_vcpus_when_its_client_comes_back() {
    for seed in 0..10 {
        for (one, other, index) in [("xbd1", "xbd0", 0), ("xbd0", "xbd1", 1)] {
            let setting = Setting::new(seed);
            let peer = setting.peer(31, one);
            let vbd = Vbd {
                guest: DomId(31),
                backend: MIDDLE,
                devid: XVDA,
            };
            let store = setting.machine.toolstack.store().clone();
            store.write(&format!("{}/params", vbd.backend_path()), other);
            peer.set_state(6);
            let is = |state| {
                let there = |_: &sim::Machine| peer.backend_state() == Some(state);
                setting.machine.until("it is so", there);
            };
            is(6);
            peer.set_state(1);
            is(2);
            peer.make_rings(1, 0);
            peer.publish(&[]);
            is(4);
            peer.set_state(4);
            let page = peer.page(hv::Access::ReadOnly, 0x22);
            peer.ring().submit(&Ask::new(WRITE, 1, 0, &[whole(&page)]));
            setting
                .machine
                .until("it is answered", |_| peer.ring().answered() > 0);
            assert_eq!(peer.ring().take().map(|answer| answer.status), Some(0));
            assert_eq!(setting.disks[index].bytes(0, 4096), vec![0x22; 4096]);
            setting.machine.run_for(SECOND);
            let exports = setting.machine.domain.blkback.exports();
            let names: Vec<_> = exports.iter().map(|export| &*export.provider).collect();
            assert_eq!(names, [other], "seed {seed}");
        }
    }
}
