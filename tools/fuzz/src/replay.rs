//! Corpus and seeded inputs under `cargo test`.

use crate::harnesses::{HARNESSES, Harness};
use crate::mutate::mutate;
use crate::random::Random;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// Seeded inputs for each harness in the gate.
pub const INPUTS: u64 = 5_000;
/// Seeded inputs with `XENOLITH_LONG=1`.
pub const INPUTS_LONG: u64 = 100_000;

/// Runs a harness over `corpus/NAME` and over seeded changes of it. `XENOLITH_FUZZ_SEED=N` runs
/// that one seed only.
///
/// # Panics
/// If there is no such harness, its corpus is missing or empty, or with the harness's own panic;
/// then seed and input's file were printed before.
pub fn replay(name: &str) {
    let harness = HARNESSES
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a harness")
        .1;
    let corpus = load(name);
    assert!(!corpus.is_empty(), "no corpus for {name}");
    for (path, input) in &corpus {
        guarded(harness, input, || format!("{name}: {}", path.display()));
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    let seeds = match number("XENOLITH_FUZZ_SEED") {
        Some(seed) => seed..seed.saturating_add(1),
        None if number("XENOLITH_LONG") == Some(1) => 0..INPUTS_LONG,
        None => 0..INPUTS,
    };
    for seed in seeds {
        let input = mutate(&inputs, &mut Random::new(seed));
        guarded(harness, &input, || {
            let kept = std::env::temp_dir().join(format!("xenolith-fuzz-{name}-{seed}"));
            let written = fs::write(&kept, &input).map(|()| kept.display().to_string());
            let place = written.unwrap_or_else(|error| format!("not kept: {error}"));
            format!("{name}: XENOLITH_FUZZ_SEED={seed}, input: {place}")
        });
    }
}

fn guarded(harness: Harness, input: &[u8], describe: impl Fn() -> String) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| harness(input))) {
        eprintln!("{}", describe());
        resume_unwind(panic);
    }
}

/// The corpus by file name, so that a seed means the same input everywhere.
fn load(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let read = |path: PathBuf| {
        let input = fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        (path, input)
    };
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut all: Vec<_> = entries.flatten().map(|entry| read(entry.path())).collect();
    all.sort();
    all
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
