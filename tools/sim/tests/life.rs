//! Random lives, from their seeds: `cargo xtask sim --seed N` shows one.

use std::time::{Duration, Instant};

use sim::life::{Options, run_seed};

fn live(seed: u64) -> sim::life::Outcome {
    let outcome = run_seed(seed, Options::default());
    if let Some(failure) = &outcome.failure {
        panic!("seed {seed}: {failure}\n{}", outcome.transcript.join("\n"));
    }
    outcome
}

#[test]
fn the_same_seed_is_the_same_life() {
    for seed in [3, 17] {
        assert_eq!(live(seed).transcript, live(seed).transcript);
    }
    assert_ne!(live(3).transcript, live(17).transcript);
}

#[test]
fn seeds_that_failed_once() {
    // A device made anew while its former task was still leaving was taken for released.
    for seed in [19713, 62088, 63113, 66478] {
        live(seed);
    }
    // A request to a disk on its way out, which was the test's own fault.
    live(17809);
}

/// What many lives came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    disks: u64,
    ended_well: u64,
    failed: u64,
}

/// Lives every `stride`-th seed from `first` on: `least` of them, then as many as fit before `end`.
fn live_many(first: u64, stride: u64, least: u64, most: u64, end: Instant) -> Sum {
    let mut sum = Sum::default();
    for seed in (first..most).step_by(usize::try_from(stride).expect("a few")) {
        if seed >= least && Instant::now() > end {
            break;
        }
        let outcome = live(seed);
        sum.seeds += 1;
        sum.disks += outcome.disks;
        sum.ended_well += outcome.requests.0;
        sum.failed += outcome.requests.1;
    }
    sum
}

/// As many seeds as fit in a while, or 100,000 with `XENOLITH_LONG`.
#[test]
fn no_seed_breaks_a_law() {
    let long = std::env::var_os("XENOLITH_LONG").is_some();
    let (least, most) = if long {
        (100_000, 100_000)
    } else {
        (200, 5_000)
    };
    let end = Instant::now() + Duration::from_secs(15);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let workers: Vec<_> = (0..threads)
        .map(|first| std::thread::spawn(move || live_many(first, threads, least, most, end)))
        .collect();
    let mut sum = Sum::default();
    for worker in workers {
        let part = worker.join().expect("no seed fails");
        sum.seeds += part.seeds;
        sum.disks += part.disks;
        sum.ended_well += part.ended_well;
        sum.failed += part.failed;
    }
    let Sum {
        seeds,
        disks,
        ended_well,
        failed,
    } = sum;
    println!("{seeds} seeds: {disks} disks, {ended_well} requests ended well, {failed} failed");
    // That lives are lived, and not refused at the door.
    assert!(disks > seeds && ended_well > seeds && failed > seeds / 10);
}
