//! Random lives, from their seeds: `cargo xtask sim --seed N` shows one.

use std::time::{Duration, Instant};

use sim::life::{Options, run_seed};

fn live(seed: u64) -> sim::life::Outcome {
    live_with(seed, 0)
}

/// The life of `seed` with so many domains that are served its disks.
fn live_with(seed: u64, clients: u16) -> sim::life::Outcome {
    let options = Options {
        clients,
        ..Options::default()
    };
    let outcome = run_seed(seed, options);
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
    // A backend that went on after a forced detach came to requests whose pages were another's.
    live(39979);
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
    served: u64,
}

/// Lives every `stride`-th seed from `first` on: `least` of them, then as many as fit before `end`.
fn live_many(
    (first, stride): (u64, u64),
    (least, most): (u64, u64),
    clients: u16,
    end: Instant,
) -> Sum {
    let mut sum = Sum::default();
    for seed in (first..most).step_by(usize::try_from(stride).expect("a few")) {
        if seed >= least && Instant::now() > end {
            break;
        }
        let outcome = live_with(seed, clients);
        sum.seeds += 1;
        sum.disks += outcome.disks;
        sum.ended_well += outcome.requests.0;
        sum.failed += outcome.requests.1;
        sum.served += outcome.served;
    }
    sum
}

/// Lives as many seeds as fit in a while, or all of `many` with `XENOLITH_LONG`.
fn live_them(clients: u16, few: u64, many: u64) {
    let long = std::env::var_os("XENOLITH_LONG").is_some();
    let range = if long { (many, many) } else { (few, many) };
    let end = Instant::now() + Duration::from_secs(15);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let workers: Vec<_> = (0..threads)
        .map(|first| std::thread::spawn(move || live_many((first, threads), range, clients, end)))
        .collect();
    let mut sum = Sum::default();
    for worker in workers {
        let part = worker.join().expect("no seed fails");
        sum.seeds += part.seeds;
        sum.disks += part.disks;
        sum.ended_well += part.ended_well;
        sum.failed += part.failed;
        sum.served += part.served;
    }
    let Sum {
        seeds,
        disks,
        ended_well,
        failed,
        served,
    } = sum;
    println!("{seeds} seeds: {disks} disks, {ended_well} requests ended well, {failed} failed");
    // That lives are lived, and not refused at the door.
    assert!(
        served >= seeds * u64::from(clients) / 4,
        "{served} of clients"
    );
    assert!(disks > seeds && ended_well > seeds && failed > seeds / 10);
}

/// As many seeds as fit in a while, or 100,000 with `XENOLITH_LONG`.
#[test]
fn no_seed_breaks_a_law() {
    live_them(0, 200, 100_000);
}

/// The same with two domains that are served the disks, 5,000 with `XENOLITH_LONG`.
#[test]
fn no_seed_with_clients_breaks_a_law() {
    live_them(2, 50, 5_000);
}
