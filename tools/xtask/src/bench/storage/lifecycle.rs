//! What an administrator waits for: until a driver domain serves, an attach, a detach.

use anyhow::Result;
use lab::Nest;

use super::contender::{Contender, Disks, EXPORT_MIB, MEMORY_MIB};
use super::row::{Metric, Row};
use super::server::{self, Server};

/// The part's name.
pub(super) const PART: &str = "life";
/// Until a `backend` entry written now reaches InitWait.
pub(super) const READY: &str = "xl create to ready to serve";
/// The same with all that its least memory allows.
pub(super) const READY_LEAST: &str = "the same in the least memory";
/// Until the first read of a new disk has completed.
pub(super) const FIRST_READ: &str = "block-attach to the first read";
/// Until `xl block-detach` returns.
pub(super) const DETACH: &str = "block-detach";

/// Starts each contender in turn, with its usual and with its least memory, and times it. None of
/// them may run yet, and dom0 may have no disk of any.
pub(super) fn starts(nest: &Nest, contenders: &[&Contender], count: u32) -> Result<Vec<Row>> {
    let mut rows = [
        row(READY, Metric::Time, contenders.len()),
        row(READY, Metric::Used, contenders.len()),
        row(READY_LEAST, Metric::Time, contenders.len()),
        row(READY_LEAST, Metric::Used, contenders.len()),
        row("xl create returns", Metric::Time, contenders.len()),
    ];
    for round in 1..=count {
        eprintln!("{PART}, round {round} of {count}: starts");
        for (number, contender) in contenders.iter().enumerate() {
            let sizes = [(MEMORY_MIB, EXPORT_MIB), (contender.least_memory_mib, 1)];
            for (size, (memory, export)) in sizes.into_iter().enumerate() {
                let name = format!("{}-start", contender.name);
                let path = format!("/root/bench/{name}.cfg");
                let config = contender.config(&name, memory, export, Disks::default());
                nest.put(&path, config.as_bytes())?;
                let target = contender.memory_target();
                let times = server::timed(nest, &format!("ready {path} {name} {target}"))?;
                let [ready, created, used] = times[..] else {
                    anyhow::bail!("no times of a start: {times:?}");
                };
                rows[2 * size].values[number].push(ready);
                rows[2 * size + 1].values[number].push(used);
                if size == 0 {
                    rows[4].values[number].push(created);
                }
            }
        }
    }
    Ok(rows.into())
}

/// Attaches and detaches each one's export in turn, and times it.
pub(super) fn attaches(servers: &[Server<'_>], count: u32) -> Result<Vec<Row>> {
    let mut rows = [
        row("block-attach returns", Metric::Time, servers.len()),
        row(FIRST_READ, Metric::Time, servers.len()),
        row(FIRST_READ, Metric::Used, servers.len()),
        row(DETACH, Metric::Time, servers.len()),
        row(DETACH, Metric::Used, servers.len()),
    ];
    for round in 1..=count {
        eprintln!("{PART}, round {round} of {count}: attach and detach");
        for (number, server) in servers.iter().enumerate() {
            let export = server.attach(server.contender.memory_target(), 0, "rw")?;
            let attach = [export.attached, export.first_read, export.used];
            let times = attach.into_iter().chain(export.detach()?);
            for (row, time) in rows.iter_mut().zip(times) {
                row.values[number].push(time);
            }
        }
    }
    Ok(rows.into())
}

fn row(name: &str, metric: Metric, contenders: usize) -> Row {
    Row {
        part: PART,
        name: name.to_owned(),
        metric,
        values: vec![Vec::new(); contenders],
        repeated: 0,
    }
}
