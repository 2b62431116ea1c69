//! The breadth-first search.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::state::state;
use super::world::Letter::{
    self, CloseNop, ClosePartition, CloseRaw, CompleteFirst, Deadline, Destroy, DestroyNop,
    FailLast, Gone, MakeNop, MediaChanged, OpenNop, OpenPartition, OpenRaw, Shrink, Step, UseNop,
    UsePartition, UseRaw,
};
use super::world::World;

/// A way to a state: the letters from the beginning.
type Path = Vec<Letter>;

fn replay(path: &[Letter]) -> World {
    let mut world = World::new();
    if let Some((last, way)) = path.split_last() {
        way.iter().for_each(|letter| world.repeat(*letter));
        world.run(*last);
    }
    world
}

fn digest(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    state(world).hash(&mut hasher);
    hasher.finish()
}

/// Searches the world that these letters make. Returns how many states there are.
fn search(letters: &[Letter]) -> usize {
    let mut known = HashSet::from([digest(&World::new())]);
    let mut front: Vec<Path> = vec![Path::new()];
    let mut runs = 0_u64;
    let mut depth = 0;
    while !front.is_empty() {
        depth += 1;
        let mut next = Vec::new();
        for path in front {
            let world = replay(&path);
            let able: Vec<_> = letters
                .iter()
                .filter(|letter| world.can(**letter))
                .collect();
            drop(world);
            for letter in able {
                let mut longer = path.clone();
                longer.push(*letter);
                runs += 1;
                let world = guarded(&longer, || replay(&longer));
                if known.insert(digest(&world)) {
                    guarded(&longer, || world.end());
                    next.push(longer);
                }
            }
        }
        front = next;
    }
    println!(
        "{} states, {runs} transitions, {depth} letters deep",
        known.len()
    );
    known.len()
}

/// Runs `work`; if it panics, tells how it came there.
fn guarded<T>(path: &[Letter], work: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => value,
        Err(panic) => {
            eprintln!("after {path:?}");
            resume_unwind(panic);
        }
    }
}

#[test]
fn a_disk_that_leaves_under_its_taste_and_its_deadline() {
    let letters = [
        Step,
        Gone,
        Destroy,
        CompleteFirst,
        FailLast,
        Deadline,
        MediaChanged,
        Shrink,
    ];
    assert!(search(&letters) > 100);
}

#[test]
fn a_disk_that_leaves_under_a_raw_writer() {
    let letters = [
        Step,
        Gone,
        Destroy,
        OpenRaw,
        CloseRaw,
        UseRaw,
        CompleteFirst,
    ];
    assert!(search(&letters) > 1000);
}

#[test]
fn a_disk_that_leaves_under_the_holder_of_a_partition() {
    let letters = [
        Step,
        Gone,
        OpenPartition,
        ClosePartition,
        UsePartition,
        CompleteFirst,
        FailLast,
    ];
    assert!(search(&letters) > 1000);
}

#[test]
fn a_disk_that_changes_under_the_holder_of_a_partition() {
    let letters = [
        Step,
        Gone,
        OpenPartition,
        ClosePartition,
        CompleteFirst,
        MediaChanged,
        Shrink,
    ];
    assert!(search(&letters) > 1000);
}

#[test]
fn a_disk_that_leaves_under_both_holders() {
    let letters = [
        Step,
        Gone,
        OpenRaw,
        CloseRaw,
        OpenPartition,
        ClosePartition,
        CompleteFirst,
    ];
    assert!(search(&letters) > 1000);
}

#[test]
fn one_that_stands_on_a_disk_leaves_by_itself_or_with_it() {
    let letters = [
        Step,
        Gone,
        MakeNop,
        DestroyNop,
        OpenNop,
        CloseNop,
        CompleteFirst,
    ];
    assert!(search(&letters) > 1000);
}

#[test]
fn one_that_stands_on_a_disk_leaves_with_its_requests() {
    let letters = [
        Step,
        Gone,
        MakeNop,
        OpenNop,
        CloseNop,
        UseNop,
        CompleteFirst,
        FailLast,
    ];
    assert!(search(&letters) > 1000);
}

#[test]
fn one_that_stands_on_a_disk_changes_with_it() {
    let letters = [
        Step,
        MakeNop,
        OpenNop,
        CloseNop,
        CompleteFirst,
        MediaChanged,
        Shrink,
    ];
    assert!(search(&letters) > 1000);
}
