//! Replays one life of the simulator: `cargo xtask sim --seed N`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use lexopt::{Arg, Parser};
use sim::life::{Options, run_seed};

const HELP: &str = "\
cargo xtask sim --seed N

Lives the life of seed N: the shipped drivers and GEOM on a simulated Xen, with disks that come and
go. The same seed is the same life.

  --steps M     let M things happen, not 60
  --clients N   serve the disks to N other domains, not to none
  --verbose     the guest logs what it does in more detail
";

fn parse(mut parser: Parser) -> Result<Option<(u64, Options)>, lexopt::Error> {
    let mut seed = None;
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("seed") => seed = Some(lexopt::ValueExt::parse(&parser.value()?)?),
            Arg::Long("steps") => options.steps = lexopt::ValueExt::parse(&parser.value()?)?,
            Arg::Long("clients") => options.clients = lexopt::ValueExt::parse(&parser.value()?)?,
            Arg::Long("verbose") => options.verbose = true,
            other => return Err(other.unexpected()),
        }
    }
    let seed = seed.ok_or("which seed? `cargo xtask sim --seed N`")?;
    Ok(Some((seed, options)))
}

fn main() -> ExitCode {
    let (seed, options) = match parse(Parser::from_env()) {
        Ok(Some(given)) => given,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("sim: {error}");
            return ExitCode::from(2);
        }
    };
    let outcome = run_seed(seed, options);
    for line in &outcome.transcript {
        println!("{line}");
    }
    let (well, failed) = outcome.requests;
    let (disks, steps) = (outcome.disks, outcome.steps);
    println!("seed {seed}: {disks} disks came and went in {steps} steps");
    println!("seed {seed}: {well} requests ended well, {failed} failed");
    match outcome.failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            println!("seed {seed} FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}
