//! A domain is suspended while a second disk is on its way to it (X05): at each step of its
//! handshake, and while it is tasted.

use std::cell::RefCell;
use std::rc::Rc;

use sim::scene::pattern;
use sim::storage::mbr;
use sim::{Blkback, Disk};

use crate::setting::{SECOND, Scene, Seen, Then, XVDB, honest};

/// Bytes of the second disk that are looked at.
const BYTES: usize = 1 << 16;

/// A disk with one partition, that its taste has to look for at more than one place.
fn partitioned() -> Disk {
    let disk = Disk::with(&pattern(5, BYTES));
    disk.write(0, &mbr(&[(64, 64)]));
    disk
}

/// How far the second disk has come at the suspension.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It is announced when the domain is waiting already.
    Announced,
    /// The backend has offered nothing yet.
    Offered,
    /// The frontend has published its rings, and the backend has not mapped them.
    Published,
    /// The backend has mapped them, and the frontend has not taken note.
    Mapped,
}

impl Step {
    const ALL: [Self; 4] = [
        Self::Announced,
        Self::Offered,
        Self::Published,
        Self::Mapped,
    ];

    /// Both ends' states.
    fn states(self) -> (&'static str, &'static str) {
        match self {
            Self::Announced => ("1", "2"),
            Self::Offered => ("1", "1"),
            Self::Published => ("3", "2"),
            Self::Mapped => ("3", "4"),
        }
    }
}

/// The first disk, whose backend holds the suspension up until it is let go.
fn held(seed: u64) -> Scene {
    let scene = Scene::new(seed, honest());
    scene.works();
    scene.backend().set_held(true);
    scene.machine.run_for(SECOND);
    assert!(scene.backend().pending() > 0);
    scene
}

fn front_is(other: &Blkback, scene: &Scene, state: &str) -> bool {
    let path = format!("{}/state", other.vbd().frontend_path());
    scene.machine.toolstack.store().read(&path).as_deref() == Some(state)
}

/// Has the second disk come so far, and asks the domain to be suspended.
fn bring(scene: &Scene, step: Step, disk: &Disk) -> Blkback {
    let attach = || scene.machine.attach(XVDB, disk, honest());
    if let Step::Announced = step {
        scene.ask_to_suspend();
        scene.machine.run_for(SECOND);
        return attach();
    }
    let other = attach();
    if let Step::Offered = step {
        other.set_frozen(true);
    } else {
        let published = |_: &_| front_is(&other, scene, "3");
        scene.machine.until("its rings", published);
        other.set_frozen(true);
    }
    scene.machine.run_for(SECOND);
    scene.ask_to_suspend();
    scene.machine.run_for(SECOND);
    if let Step::Mapped = step {
        other.set_frozen(false);
        scene.machine.until("its backend", |_| other.state() == 4);
    }
    other
}

/// Lets the domain be suspended, and says how it was with the second disk then.
fn let_go(scene: &Scene, then: Then, seen: &RefCell<Option<Seen>>) -> Seen {
    scene.machine.run_for(SECOND);
    assert_eq!(*seen.borrow(), None, "the first disk holds it up");
    scene.backend().set_held(false);
    scene.machine.until_shown(then.shown());
    seen.take().expect("it was suspended")
}

/// The second disk came once, if it is there at all, and all of it is as it should be.
fn has_come(scene: &Scene, then: Then, connections: usize) {
    scene.works();
    scene.end_load();
    scene.is_whole();
    scene.machine.run_for(60 * SECOND);
    let geom = scene.machine.domain.geom.clone();
    if then == Then::Without {
        assert!(geom.provider("xbd1").is_none(), "{}", scene.output());
        assert!(geom.provider("xbd1s1").is_none(), "{}", scene.output());
        let gone = scene.shown("geom: xbd1 gone");
        assert_eq!(gone, connections, "{}", scene.output());
        assert_eq!(scene.came_and_went(), (1 + gone as u64, gone as u64));
    } else {
        scene.has_second();
        assert!(geom.provider("xbd1s1").is_some(), "{}", scene.output());
        assert_eq!(scene.shown("xbd1: vbd"), 1, "{}", scene.output());
        assert_eq!(scene.shown("xbd1 gone"), 0, "{}", scene.output());
        assert_eq!(scene.came_and_went(), (2, 0));
        let device = geom.open("xbd1s1", geom::Access::READ).expect("a part");
        let found = Rc::new(RefCell::new(None));
        let slot = found.clone();
        scene.spawn(async move {
            *slot.borrow_mut() = Some(device.read(0, 64 * 512).await);
        });
        scene.machine.run_for(SECOND);
        let expected = pattern(5, BYTES)[64 * 512..][..64 * 512].to_vec();
        assert!(found.take() == Some(Ok(expected)));
    }
    assert_eq!(scene.machine.domain.pv.grants.usage().parked, 0);
    assert_eq!(scene.shown("xbd0 gone"), 0, "{}", scene.output());
}

#[test]
fn x05_suspend_while_a_disk_is_attached() {
    for step in Step::ALL {
        for then in Then::ALL {
            for seed in 100..102 {
                let scene = held(seed);
                let disk = partitioned();
                let other = bring(&scene, step, &disk);
                let seen = scene.save_two(then, &other, &disk, None);
                let seen = let_go(&scene, then, &seen);
                let (front, back) = step.states();
                let states = (seen.front.as_deref(), seen.back.as_deref());
                assert_eq!(states, (Some(front), Some(back)), "{step:?} {then:?}");
                assert!(
                    !seen.is_there && seen.tastes == 0,
                    "{step:?} {then:?} {seen:?}"
                );
                if then == Then::Cancelled {
                    other.set_frozen(false);
                }
                has_come(&scene, then, 0);
            }
        }
    }
}

/// The second disk is connected, and its backend has a read of its taste that it does not answer.
fn tasted(scene: &Scene, disk: &Disk) -> Blkback {
    let other = scene.machine.attach(XVDB, disk, honest());
    other.set_held(true);
    scene
        .machine
        .until("a read of its taste", |_| other.pending() == 1);
    let counters = scene.machine.domain.geom.counters();
    assert_eq!((counters.tastes, counters.disks_created), (1, 2));
    other
}

#[test]
fn x05_suspend_while_a_disk_is_tasted() {
    for then in Then::ALL {
        for seed in 110..112 {
            let scene = held(seed);
            let disk = partitioned();
            let other = tasted(&scene, &disk);
            let seen = scene.save_two(then, &other, &disk, None);
            scene.ask_to_suspend();
            scene.machine.run_for(SECOND);
            assert_eq!(other.pending(), 1, "it holds the domain up too");
            other.set_held(false);
            let seen = let_go(&scene, then, &seen);
            let states = (seen.front.as_deref(), seen.back.as_deref());
            assert_eq!(states, (Some("4"), Some("4")), "{then:?}");
            // Its next read waits in the driver.
            assert!(seen.is_there, "{then:?} {seen:?}");
            assert_eq!((seen.tastes, seen.pending), (1, 0), "{then:?}");
            has_come(&scene, then, 1);
        }
    }
}

#[test]
fn x05_a_taste_that_is_not_answered_is_a_reason_to_refuse() {
    let scene = Scene::new(113, honest());
    let disk = partitioned();
    let other = tasted(&scene, &disk);
    scene.suspend("suspend: warning: refused: requests are not answered for 30 s");
    assert_eq!(other.pending(), 1);
    other.set_held(false);
    scene.works();
    assert_eq!(scene.shown("xbd1: vbd"), 1, "{}", scene.output());
    assert_eq!(scene.came_and_went(), (2, 0));
    scene.is_whole();
}
