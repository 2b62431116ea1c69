//! A domain is suspended with as many requests in the ring as there are entries, and more behind
//! them (S49).

use sim::BlkbackConfig;

use crate::setting::{ANEW, CANCELLED, SECOND, Scene, honest};

/// Entries of a ring of one page.
const ENTRIES: u32 = 32;
/// Tasks that write, each one block at a time: twice as many as there are entries.
const LANES: u64 = 64;

/// A backend with a ring of one page. Without flushes nothing waits in GEOM.
fn small() -> BlkbackConfig {
    BlkbackConfig {
        ring_order: None,
        flush: false,
        barrier: false,
        ..honest()
    }
}

/// A machine whose disk has a full ring that is not answered.
fn full(seed: u64) -> Scene {
    let scene = Scene::with_lanes(seed, small(), LANES);
    scene.works();
    scene.backend().set_held(true);
    let backend = scene.backend();
    scene.machine.until("a full ring", |_| {
        backend.pending() == backend.served().ring_entries as usize
    });
    scene.machine.run_for(SECOND);
    is_full(&scene);
    scene
}

/// The ring is full, and as many requests wait for an entry in the driver.
fn is_full(scene: &Scene) {
    let backend = scene.backend();
    assert_eq!(backend.served().ring_entries, ENTRIES);
    assert_eq!(backend.pending(), ENTRIES as usize);
    assert_eq!(scene.handed_over(0), LANES as u32);
}

#[test]
fn s49_a_full_ring_is_drained_and_what_waits_behind_it_is_for_the_next_life() {
    for seed in 20..24 {
        let scene = full(seed);
        let former = scene.backend();
        let taken = former.served().requests;
        scene.save(Some(small()));
        scene.ask_to_suspend();
        scene.machine.run_for(20 * SECOND);
        is_full(&scene);
        assert_eq!(scene.shown("suspend:"), 0, "{}", scene.output());
        former.set_held(false);
        scene.machine.until_shown(ANEW);
        assert_eq!(former.served().requests, taken, "none was let in behind");
        assert_eq!(former.served().responses, taken, "all were answered");
        scene.works();
        let acknowledged = scene.end_load();
        scene.is_whole();
        let writes = former.served().writes + scene.backend().served().writes;
        assert_eq!(writes, acknowledged, "each was made once");
        assert_eq!(scene.came_and_went(), (1, 0));
    }
}

#[test]
fn s49_a_full_ring_that_is_not_drained_is_a_reason_to_refuse_and_the_same_ring_goes_on() {
    let scene = full(24);
    scene.suspend("suspend: warning: refused: requests are not answered for 30 s");
    is_full(&scene);
    scene.backend().set_held(false);
    scene.works();
    scene.backend().set_held(true);
    let backend = scene.backend();
    scene.machine.until("a full ring", |_| {
        backend.pending() == backend.served().ring_entries as usize
    });
    // Of a suspension that is cancelled no other traffic tells the queue to go on.
    scene.ask_to_suspend();
    scene.machine.run_for(SECOND);
    is_full(&scene);
    backend.set_held(false);
    scene.machine.until_shown(CANCELLED);
    scene.works();
    assert_eq!(scene.shown("xbd0: vbd"), 1, "it was not connected again");
    let acknowledged = scene.end_load();
    scene.is_whole();
    assert_eq!(backend.served().writes, acknowledged, "each was made once");
    assert_eq!(scene.came_and_went(), (1, 0));
}
