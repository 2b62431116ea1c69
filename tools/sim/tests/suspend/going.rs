//! A domain is suspended while its second disk is taken away (X05): by force, with requests that
//! its backend has not answered, and in order, before the frontend is closed.

use std::rc::Rc;

use geom::{Access, Errno};
use sim::{Blkback, Detach, Disk};

use crate::setting::{Outcome, SECOND, Scene, Then, XVDB, honest};

/// Reads of the second disk that are under way.
const READS: u64 = 4;

/// A machine with two disks that are in use; the backend of the second answers nothing.
struct Leaving {
    scene: Scene,
    other: Blkback,
    reads: Vec<Outcome>,
}

impl Leaving {
    fn new(seed: u64) -> Self {
        let scene = Scene::new(seed, honest());
        let other = scene.machine.attach(XVDB, &Disk::new(), honest());
        scene.has_second();
        other.set_held(true);
        let device = scene.machine.domain.geom.open("xbd1", Access::READ);
        let device = Rc::new(device.expect("the other disk"));
        let read = |number| {
            let device = device.clone();
            scene.ask(async move { device.read(number * 4096, 4096).await.map(drop) })
        };
        let reads: Vec<_> = (0..READS).map(read).collect();
        scene.machine.run_for(SECOND);
        assert_eq!(other.pending() as u64, READS);
        Self {
            scene,
            other,
            reads,
        }
    }

    fn detach(&self, force: bool) -> Detach {
        self.scene
            .machine
            .toolstack
            .detach(&self.other.vbd(), force)
    }

    fn came_to(&self, outcome: Option<Result<(), Errno>>) -> bool {
        self.reads.iter().all(|read| read.get() == outcome)
    }

    /// The second disk is gone, and was once.
    fn is_gone_once(&self, created: u64) {
        let scene = &self.scene;
        scene.works();
        scene.end_load();
        scene.is_whole();
        scene.machine.run_for(60 * SECOND);
        assert_eq!(scene.shown("geom: xbd1 gone"), 1, "{}", scene.output());
        assert_eq!(scene.came_and_went(), (created, 1), "{}", scene.output());
        let counters = scene.machine.domain.geom.counters();
        assert_eq!((counters.dropped_bios, counters.late_entries), (0, 0));
        assert_eq!(scene.machine.domain.pv.grants.usage().parked, 0);
    }
}

/// When the disk is taken away by force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Before the domain is asked to be suspended.
    Before,
    /// When the domain waits for the answers of that very disk.
    Meanwhile,
}

#[test]
fn x05_suspend_while_a_disk_is_taken_away_by_force() {
    for asked in [Asked::Before, Asked::Meanwhile] {
        for then in [Then::Cancelled, Then::Without] {
            for seed in 120..122 {
                let leaving = Leaving::new(seed);
                let Leaving { scene, other, .. } = &leaving;
                if asked == Asked::Meanwhile {
                    scene.ask_to_suspend();
                    scene.machine.run_for(5 * SECOND);
                    assert_eq!(scene.shown("suspend:"), 0, "{}", scene.output());
                    assert!(leaving.came_to(None));
                }
                let detach = leaving.detach(true);
                let seen = scene.save_two(then, other, &Disk::new(), Some(&detach));
                if asked == Asked::Before {
                    scene.ask_to_suspend();
                }
                scene.machine.until_shown(then.shown());
                let seen = seen.take().expect("it was suspended");
                assert!(seen.detaching, "{asked:?} {then:?}: {seen:?}");
                assert_eq!((seen.front, seen.back.as_deref()), (None, Some("5")));
                assert_eq!(seen.pending as u64, READS, "they are not answered");
                assert!(seen.parked as u64 >= READS, "nor is their memory free");
                assert!(leaving.came_to(Some(Err(Errno::NoDevice))));
                // In the former life they may still be answered, to nobody.
                other.set_held(false);
                leaving.is_gone_once(2);
                assert!(matches!(detach.outcome(), Some(Ok(_))));
            }
        }
    }
}

#[test]
fn x05_suspend_while_a_disk_is_taken_away_in_order() {
    for then in Then::ALL {
        for seed in 130..132 {
            let leaving = Leaving::new(seed);
            let Leaving { scene, other, .. } = &leaving;
            let detach = leaving.detach(false);
            scene.machine.run_for(SECOND);
            let next = Disk::with(&[7; 4096]);
            let seen = scene.save_two(then, other, &next, Some(&detach));
            scene.ask_to_suspend();
            scene.machine.run_for(SECOND);
            assert_eq!(*seen.borrow(), None, "their answers are awaited");
            other.set_held(false);
            scene.machine.until_shown(then.shown());
            let seen = seen.take().expect("it was suspended");
            assert!(seen.detaching, "{then:?}: {seen:?}");
            let states = (seen.front.as_deref(), seen.back.as_deref());
            assert_eq!(states, (Some("4"), Some("5")), "{then:?}");
            assert_eq!((seen.pending, seen.parked), (0, 0), "{then:?}");
            assert!(leaving.came_to(Some(Ok(()))), "they were answered");
            if then == Then::With {
                // A disk of the next life, which nobody takes away.
                scene.has_second();
                leaving.is_gone_once(3);
                assert!(scene.machine.domain.geom.provider("xbd1").is_some());
            } else {
                leaving.is_gone_once(2);
                assert!(scene.machine.domain.geom.provider("xbd1").is_none());
            }
        }
    }
}
