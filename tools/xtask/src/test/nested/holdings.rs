//! What a domain holds, to find what something that came and went left there.

use anyhow::{Context, Result};
use lab::Nest;
use lab::guest::Guest;

use super::domain::{frames, number};

/// What the shell's history may add to the heap: it remembers 64 lines.
pub(super) const HISTORY: u64 = 8;

/// What a domain holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Holdings {
    /// Frames that are neither free nor heap, in KiB.
    frames: u64,
    granted: u64,
    parked: u64,
    /// Owners of ports.
    ports: Vec<String>,
    tasks: Vec<String>,
    /// As dom0's xenstored counts them.
    watches: u64,
    nodes: u64,
}

impl Holdings {
    /// The same, but for so many pages more at most that are granted and not given back: a queue
    /// keeps the pages that it needed at once, and it is chance how many that were.
    pub(super) fn is_same_but_for_pages(&self, before: &Self, pages: u64) -> bool {
        let allowed = |now: u64, then: u64, more: u64| now <= then + more;
        allowed(self.granted, before.granted, pages)
            && allowed(self.frames, before.frames, 4 * pages)
            && (self.parked, &self.ports, &self.tasks)
                == (before.parked, &before.ports, &before.tasks)
            && (self.watches, self.nodes) == (before.watches, before.nodes)
    }
}

/// What the domain holds now, and its heap in use, in KiB.
pub(super) fn of(nest: &Nest, guest: &mut Guest<'_>) -> Result<(Holdings, u64)> {
    let tasks = names(&guest.command("tasks")?, 1);
    let ports = names(&guest.command("events")?, 3);
    let grants = guest.command("grants")?;
    let memory = guest.command("mem")?;
    let id = guest.id()?;
    let quota = nest.check(&format!("xenstore-control quota {id}"))?;
    let used = memory.split("KiB, ").nth(2).context("mem")?;
    let holdings = Holdings {
        frames: frames(&memory)?,
        granted: number(&grants, "granted:")?,
        parked: number(&grants, "parked:")?,
        ports,
        tasks,
        watches: number(&quota.replace(" ", ""), "watches:")?,
        nodes: number(&quota.replace(" ", ""), "nodes:")?,
    };
    Ok((holdings, number(used, "")?))
}

/// The lines of a table without its head and without their first words, sorted.
fn names(said: &str, skip: usize) -> Vec<String> {
    let words = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().skip(skip).collect();
        words.join(" ")
    };
    let mut lines: Vec<String> = said
        .lines()
        .filter(|line| !line.starts_with("on ports") && !line.starts_with(" port"))
        .map(words)
        .collect();
    lines.sort();
    lines
}
