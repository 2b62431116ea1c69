//! Two disks, exported again, of a domain with one vCPU and of one with two: what each vCPU does
//! for an I/O, and how many there are in a second.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{Guest, Nest};
use serde_json::Value;

use super::super::figures::Figures;
use super::super::options::Storage;
use super::job::Job;
use super::load::{self, Clock};
use super::plan::{clock, jobs};
use super::server;
use crate::image::build;
use crate::nest;

/// The part's name.
pub(super) const PART: &str = "vcpus";

/// What is asked of two vCPUs against one.
const GOAL: f64 = 1.6;
/// The nest may run for so long on the host's clock.
const LIMIT: Duration = Duration::from_secs(3600);
/// How long a domain may take to serve.
const READY: Duration = Duration::from_secs(180);
/// How many vCPUs the two domains have.
const VCPUS: [u32; 2] = [1, 2];
/// Disks of each.
const DISKS: u32 = 2;

/// A domain with its two exports as disks of dom0's.
struct Server<'nest> {
    guest: Guest<'nest>,
    id: u32,
    devices: Vec<String>,
}

/// What one run did and cost.
struct Run {
    iops: f64,
    /// Of each vCPU, for an I/O, in microseconds.
    costs: Vec<f64>,
}

/// Measures, prints, and says whether the goal is met.
pub(super) fn command(options: &Storage) -> Result<ExitCode> {
    build::command()?;
    let nest = nest::boot(&lab::Options {
        memory: 4096,
        time_limit: LIMIT,
        ..options.nest.options()
    })?;
    nest.check("mkdir -p /root/bench")?;
    load::prepare(&nest)?;
    server::prepare(&nest, 2 * DISKS as usize)?;
    let servers = (0..)
        .zip(VCPUS)
        .map(|(number, vcpus)| Server::start(&nest, number, vcpus))
        .collect::<Result<Vec<_>>>()?;
    let clock = clock(options);
    println!("\n{}", options.setting());
    println!("two exports at once; the cost of an I/O in microseconds, of each vCPU");
    let mut met = true;
    for job in jobs(options, PART) {
        let mut runs = [Vec::new(), Vec::new()];
        for round in 1..=options.rounds() {
            eprintln!("round {round} of {}: {}", options.rounds(), job.name);
            for (server, runs) in servers.iter().zip(&mut runs) {
                runs.push(server.run(&nest, clock, job)?);
            }
        }
        met &= print(job, clock, &runs);
    }
    for server in servers {
        server.end(&nest)?;
    }
    Ok(if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One job's lines; whether the goal is met. How many I/Os two vCPUs can do in the time in which
/// one does one follows from what the busier of them does for each; and under an ordinary clock
/// they are counted, too, which dom0 and the host may bound.
fn print(job: Job, clock: Clock, runs: &[Vec<Run>; 2]) -> bool {
    let [one, two] = runs;
    for (vcpus, runs) in VCPUS.iter().zip([one, two]) {
        let costs = (0..*vcpus as usize).map(|vcpu| figures(runs, |run| run.costs[vcpu]).text(2));
        let costs: Vec<String> = costs.collect();
        let iops = figures(runs, |run| run.iops);
        println!(
            "{:20} {vcpus} vCPUs: {}; {iops} IOPS",
            job.name,
            costs.join(" and ")
        );
    }
    let busiest = |run: &Run| run.costs.iter().copied().fold(0.0, f64::max);
    let possible = figures(one, busiest).median() / figures(two, busiest).median();
    let verdict = if possible >= GOAL { "met" } else { "MISSED" };
    println!(
        "{:20} {possible:.2} times as many by what the busier vCPU does (at least {GOAL} is asked: \
         {verdict})",
        job.name
    );
    if clock != Clock::Slope {
        let seen = figures(two, |run| run.iops).median() / figures(one, |run| run.iops).median();
        println!("{:20} {seen:.2} times as many were done", job.name);
    }
    possible >= GOAL
}

fn figures(runs: &[Run], figure: impl Fn(&Run) -> f64) -> Figures {
    let mut figures = Figures::default();
    runs.iter().for_each(|run| figures.add(figure(run)));
    figures
}

impl<'nest> Server<'nest> {
    /// Starts a domain with two of dom0's RAM disks and has dom0 attach what it makes of them.
    fn start(nest: &'nest Nest, number: u32, vcpus: u32) -> Result<Self> {
        let name = format!("vcpus{vcpus}");
        let disk = |index: u32| {
            let letter = ["a", "b"][index as usize];
            let ram = number * DISKS + index;
            let place = format!("vdev=xvd{letter},access=rw,target=/dev/ram{ram}");
            format!("\"format=raw,script=/run/lab/block,{place}\"")
        };
        let disks: Vec<String> = (0..DISKS).map(disk).collect();
        let config = format!(
            "name = \"{name}\"\ntype = \"pv\"\ndriver_domain = 1\nvcpus = {vcpus}\nmemory = 256\n\
             tsc_mode = \"native\"\nkernel = \"/root/xenolith\"\ndisk = [{}]\n",
            disks.join(", ")
        );
        let mut guest = nest.create_guest(&name, &config)?;
        guest.wait_for("xenolith: ready", READY)?;
        let id = guest.id()?;
        let mut devices = Vec::new();
        for index in 0..DISKS {
            let device = ["xvdm", "xvdn", "xvdo", "xvdp"][(number * DISKS + index) as usize];
            nest.check(&format!(
                "xl block-attach 0 format=raw,vdev={device},access=rw,backend={name},\
                 target=xbd{index}"
            ))?;
            devices.push(format!("/dev/{device}"));
        }
        Ok(Self { guest, id, devices })
    }

    fn run(&self, nest: &Nest, clock: Clock, job: Job) -> Result<Run> {
        let value = load::run(nest, clock, job, self.id, &self.devices, false)?;
        read(&value)
    }

    fn end(self, nest: &Nest) -> Result<()> {
        for device in &self.devices {
            nest.check(&format!(
                "xl block-detach 0 {}",
                device.trim_start_matches("/dev/")
            ))?;
        }
        self.guest.destroy()
    }
}

/// The program's figures.
fn read(value: &Value) -> Result<Run> {
    let number = |name: &str| value[name].as_f64().with_context(|| format!("no {name}"));
    let ios = number("ios")?;
    let costs = value["vcpus_ns"].as_array().context("no vcpus_ns")?;
    let costs = costs.iter().map(|cost| Some(cost.as_f64()? / ios / 1000.0));
    let costs = costs.collect::<Option<Vec<f64>>>().context("no numbers")?;
    ensure!(!costs.is_empty() && ios > 0.0, "nothing was done");
    Ok(Run {
        iops: number("iops")?,
        costs,
    })
}

#[cfg(test)]
mod tests {
    use super::super::job::JOBS;
    use super::{Clock, Run, print, read};

    #[test]
    fn costs_are_each_vcpus_for_an_io() {
        let line = r#"{"ios": 100, "iops": 7.5, "vcpus_ns": [500000, 200000]}"#;
        let run = read(&serde_json::from_str(line).unwrap()).unwrap();
        assert_eq!((run.iops, run.costs), (7.5, vec![5.0, 2.0]));
        assert!(read(&serde_json::from_str(r#"{"ios": 1, "iops": 1}"#).unwrap()).is_err());
    }

    #[test]
    fn the_busier_vcpu_decides() {
        let run = |costs: &[f64]| {
            vec![Run {
                iops: 1.0,
                costs: costs.to_vec(),
            }]
        };
        assert!(print(
            JOBS[0],
            Clock::Slope,
            &[run(&[10.0]), run(&[6.0, 5.0])]
        ));
        assert!(!print(
            JOBS[0],
            Clock::Slope,
            &[run(&[10.0]), run(&[7.0, 3.0])]
        ));
    }
}
