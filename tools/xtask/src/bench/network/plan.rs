//! What is measured, in which order.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use lab::Nest;

use super::super::options::Network;
use super::contender::{self, CONTENDERS, Runs};
use super::cost::{self, Cost};
use super::job::{JOBS, Job, Limit};
use super::paced;
use super::report::{self, Row};
use crate::image::build;
use crate::nest;

/// The nest may run for so long on the host's clock.
const LIMIT: Duration = Duration::from_secs(3 * 3600);

/// Measures, prints and writes the result.
pub(crate) fn command(options: &Network) -> Result<ExitCode> {
    // The nest has it too.
    build::command()?;
    let image = build::example("streams")?;
    let nest = nest::boot(&lab::Options {
        time_limit: LIMIT,
        ..options.nest.options()
    })?;
    let rows = measure(&nest, options, &std::fs::read(image)?)?;
    let decimals = if options.nest.icount { 2 } else { 1 };
    report::show(options.name(), &options.setting(), &rows, decimals)?;
    Ok(ExitCode::SUCCESS)
}

fn measure(nest: &Nest, options: &Network, image: &[u8]) -> Result<Vec<Row>> {
    cost::prepare(nest)?;
    contender::prepare(nest, image)?;
    let mut runs = Vec::new();
    for contender in &CONTENDERS {
        eprintln!("starting {}", contender.name);
        runs.push(contender.start(nest)?);
    }
    let jobs: Vec<Job> = JOBS
        .into_iter()
        .filter(|job| options.wants(job.name()))
        .collect();
    let mut rows: Vec<Row> = jobs.iter().map(|job| row(*job, options)).collect();
    for round in 1..=options.rounds() {
        for (job, row) in jobs.iter().zip(&mut rows) {
            eprintln!("round {round} of {}: {}", options.rounds(), job.name());
            for (number, runs) in runs.iter().enumerate() {
                let (figure, cost) = turn(nest, options, *job, runs)
                    .with_context(|| format!("{}, {}", runs.contender.name, job.name()))?;
                row.values[number].push(figure);
                if number == 0 {
                    row.outside.push(cost.dom0 / (cost.dom0 + cost.domain));
                }
            }
        }
    }
    runs.into_iter().try_for_each(Runs::end)?;
    Ok(rows)
}

/// A row without figures yet.
fn row(job: Job, options: &Network) -> Row {
    let (unit, limit) = match options.nest.icount {
        true => ("1,000 instructions/packet", Limit::AtMost(0.6)),
        false => (job.unit(), job.limit()),
    };
    Row {
        name: job.name(),
        unit,
        limit,
        values: [Vec::new(), Vec::new()],
        outside: Vec::new(),
    }
}

/// Does a job once; its figure, and what it cost.
fn turn(nest: &Nest, options: &Network, job: Job, runs: &Runs<'_>) -> Result<(f64, Cost)> {
    let (domain, address) = (runs.domain, runs.contender.address);
    if options.nest.icount {
        let [few, many] = job.slope();
        let shorter = cost::of(nest, domain, &job.command(address, few))?;
        let longer = cost::of(nest, domain, &job.command(address, many))?;
        let cost = longer.beyond(&shorter);
        let packets = job.packets(many) - job.packets(few);
        return Ok((cost.domain / packets / 1000.0, cost));
    }
    let amount = job.amount(options.quick);
    if job == Job::Paced {
        return paced::search(nest, domain, address, amount);
    }
    let cost = cost::of(nest, domain, &job.command(address, amount))?;
    Ok((job.figure(amount, &cost)?, cost))
}
