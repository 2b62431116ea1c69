use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use exec::Executor;
use hv::{DomId, Instant};

use super::{LATE, Leavings, Remnant};

const PEER: DomId = DomId(3);

/// What a test sees of a remnant, and what the backend does.
#[derive(Default)]
struct Rings {
    held: Cell<bool>,
    shrunk: Cell<u32>,
    parked: Cell<bool>,
    dropped: Cell<u32>,
}

struct Left(Rc<Rings>);

impl Remnant for Left {
    fn is_held(&mut self) -> bool {
        self.0.held.get()
    }

    fn shrink(&mut self) {
        self.0.shrunk.set(self.0.shrunk.get() + 1);
    }

    fn park(&mut self) {
        self.0.parked.set(true);
    }

    fn pages(&self) -> usize {
        if self.0.parked.get() { 0 } else { 7 }
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.0.dropped.set(self.0.dropped.get() + 1);
    }
}

/// Lets so much time pass.
fn pass(exec: &Executor, time: Duration) {
    let end = exec.now().after(time);
    loop {
        while exec.turn(exec.now()) {}
        match exec.next_deadline() {
            Some(next) if next <= end => exec.turn(next),
            _ => break,
        };
    }
    exec.turn(end);
}

fn left(exec: &Executor, leavings: &Rc<Leavings>) -> Rc<Rings> {
    let rings = Rc::new(Rings::default());
    rings.held.set(true);
    let late = leavings.reserve(PEER, "late");
    pass(exec, 2 * LATE);
    assert_eq!(leavings.sweep(PEER), 0, "it has not ended");
    late.leave(Left(rings.clone()));
    rings
}

fn new() -> (Executor, Rc<Leavings>) {
    let exec = Executor::new();
    exec.turn(Instant::default());
    let leavings = Leavings::new(&exec);
    (exec, leavings)
}

#[test]
fn what_a_backend_holds_is_kept_until_it_lets_go_and_is_dropped_once() {
    let (exec, leavings) = new();
    let rings = left(&exec, &leavings);
    pass(&exec, LATE / 2);
    assert_eq!((rings.dropped.get(), rings.shrunk.get()), (0, 1));
    assert_eq!(leavings.sweep(PEER), 7);
    assert_eq!(leavings.sweep(DomId(4)), 0, "another domain has none of it");
    rings.held.set(false);
    pass(&exec, Duration::from_secs(1));
    assert_eq!((rings.dropped.get(), rings.parked.get()), (1, false));
    assert!(exec.tasks().is_empty() && leavings.left.borrow().is_empty());
}

#[test]
fn what_is_held_for_long_is_parked_and_still_kept() {
    let (exec, leavings) = new();
    let rings = left(&exec, &leavings);
    pass(&exec, LATE - Duration::from_secs(2));
    assert!(!rings.parked.get());
    pass(&exec, Duration::from_secs(4));
    assert!(rings.parked.get());
    assert_eq!((rings.dropped.get(), leavings.sweep(PEER)), (0, 0));
    rings.held.set(false);
    pass(&exec, Duration::from_secs(1));
    assert_eq!((rings.dropped.get(), exec.tasks().len()), (1, 0));
}

#[test]
fn who_needs_pages_now_need_not_wait_for_the_next_look() {
    let (exec, leavings) = new();
    let rings = left(&exec, &leavings);
    pass(&exec, LATE / 2);
    rings.held.set(false);
    assert_eq!((leavings.sweep(PEER), rings.dropped.get()), (0, 1));
}

#[test]
fn a_connection_that_never_began_leaves_nothing() {
    let (exec, leavings) = new();
    drop(leavings.reserve::<Left>(PEER, "late"));
    pass(&exec, Duration::ZERO);
    assert!(exec.tasks().is_empty() && leavings.left.borrow().is_empty());
}
