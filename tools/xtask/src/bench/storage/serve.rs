//! Serving: every job on exports of the domains' memory, on dom0's disks exported again, and on
//! NVMe controllers that are passed through.

use anyhow::{Result, ensure};

use super::job::Job;
use super::rounds::{Rounds, Target};
use super::row::Row;
use super::server::{Export, Server};

/// The part with memory-backed exports.
pub(super) const MEMORY: &str = "memory";
/// The part with dom0's disks, through the domain, back to dom0.
pub(super) const AGAIN: &str = "re-export";

/// The part with controllers that are passed through.
pub(super) const NVME: &str = "nvme";

/// Does the jobs on one export of every server. Their first `fill_mib` MiB are filled with seeded
/// random data before, which dom0 sums before and after.
pub(super) fn measure(
    rounds: Rounds<'_>,
    servers: &[Server<'_>],
    part: &'static str,
    jobs: &[Job],
    fill_mib: u32,
) -> Result<Vec<Row>> {
    let mut exports: Vec<Export<'_>> = Vec::new();
    let mut sums = Vec::new();
    // No two exports have the same bytes.
    let seeds = if part == AGAIN { 101.. } else { 1.. };
    for (seed, server) in seeds.zip(servers) {
        let name = server.contender.name;
        eprintln!("{part}: filling and summing {name}'s export");
        let target = match part {
            MEMORY => server.contender.memory_target(),
            NVME => server.contender.nvme_target(),
            _ => server.contender.disk_target(),
        };
        let export = server.attach(target, 0, "rw")?;
        let all = export.fill(seed, fill_mib)?;
        if part == AGAIN {
            server.check_disk(fill_mib, &all)?;
        }
        // Jobs that write do so in the upper half.
        sums.push(export.sum(fill_mib / 2)?);
        exports.push(export);
    }
    let targets: Vec<Target> = servers
        .iter()
        .zip(&exports)
        .map(|(server, export)| Target {
            domain: server.id,
            devices: vec![export.device()],
        })
        .collect();
    let rows = rounds.measure(part, jobs, &targets)?;
    for ((server, export), before) in servers.iter().zip(exports).zip(sums) {
        let name = server.contender.name;
        eprintln!("{part}: summing {name}'s export");
        let after = export.sum(fill_mib / 2)?;
        ensure!(
            after == before,
            "{part}: {name}'s export has other bytes than before"
        );
        export.detach()?;
    }
    Ok(rows)
}
