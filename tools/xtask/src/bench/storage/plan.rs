//! What is measured, in which order.

use anyhow::{Result, ensure};
use lab::Nest;
use std::process::ExitCode;
use std::time::Duration;

use super::super::options::{Storage, Subject};
use super::contender::{
    Contender, EXPORT_MIB, LINUX, LINUX_AGAIN, LINUX_MAPPING, MEMORY_MIB, XENOLITH,
};
use super::job::{JOBS, Job};
use super::load::{self, Clock};
use super::report::{About, Report};
use super::rounds::Rounds;
use super::row::Row;
use super::server::{self, Server};
use super::{goal, growth, lifecycle, linux, serve, vcpus};
use crate::image::build;
use crate::nest::{self, nvme};

/// The nest may run for so long on the host's clock.
const LIMIT: Duration = Duration::from_secs(3 * 3600);
/// How much of an export a smoke fills and sums, in MiB.
const SMOKE_MIB: u32 = 8;

/// Measures, prints and writes the result.
pub(crate) fn command(options: &Storage) -> Result<ExitCode> {
    ensure!(
        wanted(options),
        "nothing is called so: see `cargo xtask bench --help`"
    );
    if options.subject == Subject::Vcpus {
        return vcpus::command(options);
    }
    build::command()?;
    let is_nvme = options.subject == Subject::Nvme;
    let disks = if is_nvme {
        nvme::arguments(2, u64::from(EXPORT_MIB) << 20)?
    } else {
        Vec::new()
    };
    let nest = nest::boot(&lab::Options {
        memory: 4096,
        time_limit: LIMIT,
        qemu_arguments: disks,
        ..options.nest.options()
    })?;
    let report = if is_nvme {
        passed_through(&nest, options)?
    } else {
        measure(&nest, options)?
    };
    report.print();
    report.write()?;
    Ok(ExitCode::SUCCESS)
}

/// Measures a little, in a nest that is there, and prints it.
pub(crate) fn smoke(nest: &Nest) -> Result<()> {
    measure(nest, &Storage::smoke())?.print();
    Ok(())
}

/// The jobs of a part that are asked for.
pub(super) fn jobs(options: &Storage, part: &'static str) -> impl Iterator<Item = Job> {
    JOBS.into_iter()
        .filter(move |job| options.wants(part, job.name))
}

/// Whether there is anything to do.
fn wanted(options: &Storage) -> bool {
    match options.subject {
        Subject::Exports => {}
        Subject::Nvme => return jobs(options, serve::NVME).next().is_some(),
        Subject::Vcpus => return jobs(options, vcpus::PART).next().is_some(),
    }
    let without_jobs = [lifecycle::PART, growth::PART];
    let with_jobs = [serve::MEMORY, serve::AGAIN];
    without_jobs.iter().any(|part| options.wants(part, ""))
        || with_jobs
            .iter()
            .any(|part| jobs(options, part).next().is_some())
}

fn measure(nest: &Nest, options: &Storage) -> Result<Report> {
    let first = if options.linux_twice {
        &LINUX_AGAIN
    } else {
        &XENOLITH
    };
    let mut contenders: Vec<&'static Contender> = vec![first, &LINUX];
    let clock = clock(options);
    // The peer's other setting matters where the sum of both domains' costs is a goal.
    if clock == Clock::Slope && jobs(options, serve::MEMORY).next().is_some() {
        contenders.push(&LINUX_MAPPING);
    }
    let rounds = prepare(nest, options, contenders.len(), "")?;
    let mut rows = Vec::new();
    if options.wants(lifecycle::PART, "") {
        rows.extend(lifecycle::starts(nest, &contenders, rounds.count)?);
    }
    let mut servers = Vec::new();
    for (number, contender) in (0..).zip(&contenders) {
        eprintln!("starting {}", contender.name);
        servers.push(Server::start(nest, contender, number, None)?);
    }
    if options.wants(lifecycle::PART, "") {
        rows.extend(lifecycle::attaches(&servers, rounds.count)?);
    }
    let fill_mib = fill_mib(options);
    for part in [serve::MEMORY, serve::AGAIN] {
        let jobs: Vec<Job> = jobs(options, part).collect();
        let servers = if part == serve::MEMORY {
            &servers[..]
        } else {
            &servers[..2]
        };
        if !jobs.is_empty() {
            rows.extend(serve::measure(rounds, servers, part, &jobs, fill_mib)?);
        }
    }
    if options.wants(growth::PART, "") {
        rows.extend(growth::measure(rounds, &servers[..2])?);
    }
    for server in servers {
        server.end()?;
    }
    report(nest, options, &contenders, rows)
}

/// The same of NVMe controllers, one for each contender.
fn passed_through(nest: &Nest, options: &Storage) -> Result<Report> {
    let contenders = [&XENOLITH, &LINUX];
    let rounds = prepare(nest, options, contenders.len(), "nvme xen-pcifront")?;
    nest.check("modprobe xen-pciback")?;
    let controllers = nvme::controllers(nest)?;
    let mut servers = Vec::new();
    for ((number, contender), controller) in (0..).zip(contenders).zip(&controllers) {
        eprintln!("starting {}", contender.name);
        nest.check(&format!("xl pci-assignable-add {controller}"))?;
        servers.push(Server::start(nest, contender, number, Some(controller))?);
    }
    ensure!(servers.len() == contenders.len(), "too few controllers");
    let jobs: Vec<Job> = jobs(options, serve::NVME).collect();
    let rows = serve::measure(rounds, &servers, serve::NVME, &jobs, fill_mib(options))?;
    for server in servers {
        server.end()?;
    }
    report(nest, options, &contenders, rows)
}

/// Puts into dom0 what measuring `count` contenders needs, of which Linux gets these `modules` too.
fn prepare<'nest>(
    nest: &'nest Nest,
    options: &Storage,
    count: usize,
    modules: &str,
) -> Result<Rounds<'nest>> {
    linux::prepare(nest, modules)?;
    load::prepare(nest)?;
    server::prepare(nest, count)?;
    Ok(Rounds {
        nest,
        clock: clock(options),
        count: options.rounds(),
    })
}

/// How much of an export is filled and summed, in MiB.
fn fill_mib(options: &Storage) -> u32 {
    if options.quick { SMOKE_MIB } else { EXPORT_MIB }
}

/// How costs are taken.
pub(super) fn clock(options: &Storage) -> Clock {
    match (options.nest.icount, options.quick) {
        (true, _) => Clock::Slope,
        (false, true) => Clock::Window(700),
        (false, false) => Clock::Window(2000),
    }
}

/// What came out.
fn report(
    nest: &Nest,
    options: &Storage,
    contenders: &[&'static Contender],
    rows: Vec<Row>,
) -> Result<Report> {
    let about = |contender: &&'static Contender| -> Result<About> {
        Ok(About {
            name: contender.name,
            memory_mib: MEMORY_MIB,
            least_memory_mib: contender.least_memory_mib,
            image_bytes: contender.image_bytes(nest)?,
        })
    };
    Ok(Report {
        name: options.name(),
        setting: options.setting(),
        contenders: contenders.iter().map(about).collect::<Result<_>>()?,
        verdicts: goal::verdicts(&rows, clock(options)),
        rows,
    })
}
