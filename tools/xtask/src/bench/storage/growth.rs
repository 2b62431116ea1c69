//! Growth: the same load spread over more and more exports.

use anyhow::Result;

use super::job::SPREAD;
use super::rounds::{Rounds, Target};
use super::row::Row;
use super::server::Server;

/// The part's name.
pub(super) const PART: &str = "growth";

/// How many exports there are at once; the first and the last are compared.
const COUNTS: [u32; 3] = [1, 4, 16];

/// For each of the counts: attaches so many read-only exports of each one's memory, and has one fio
/// keep the same number of reads under way over all of them.
pub(super) fn measure(rounds: Rounds<'_>, servers: &[Server<'_>]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for count in COUNTS {
        let mut exports = Vec::new();
        let mut targets = Vec::new();
        for server in servers {
            let first = exports.len();
            for number in 0..count {
                exports.push(server.attach(server.contender.memory_target(), number, "ro")?);
            }
            let devices = exports[first..].iter().map(|export| export.device());
            targets.push(Target {
                domain: server.id,
                devices: devices.collect(),
            });
        }
        for mut row in rounds.measure(PART, &[SPREAD], &targets)? {
            row.name = name(count);
            rows.push(row);
        }
        for export in exports {
            export.detach()?;
        }
    }
    Ok(rows)
}

fn name(count: u32) -> String {
    format!("{count} exports")
}

/// The names of the smallest and the largest count.
pub(super) fn ends() -> (String, String) {
    (name(COUNTS[0]), name(COUNTS[COUNTS.len() - 1]))
}
