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

/// As many seeds as fit in a while, or 100,000 with `XENOLITH_LONG`.
#[test]
fn no_seed_breaks_a_law() {
    let long = std::env::var_os("XENOLITH_LONG").is_some();
    let (least, most) = if long {
        (100_000, 100_000)
    } else {
        (200, 5_000)
    };
    let end = Instant::now() + Duration::from_secs(20);
    let (mut disks, mut requests, mut seeds) = (0, (0, 0), 0);
    for seed in 0..most {
        if seed >= least && Instant::now() > end {
            break;
        }
        let outcome = live(seed);
        disks += outcome.disks;
        requests.0 += outcome.requests.0;
        requests.1 += outcome.requests.1;
        seeds += 1;
    }
    println!("{seeds} seeds: {disks} disks, {requests:?} requests");
    // That lives are lived, and not refused at the door.
    assert!(disks > seeds && requests.0 > seeds && requests.1 > seeds / 10);
}
