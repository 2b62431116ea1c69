//! Which nests run when: those of this machine wait for each other, in whatever process they are.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// What a nest may take of the host's memory, in KiB: its own, and QEMU's.
const NEST_KIB: u64 = 4 << 20;

/// A nest's turn. It ends when this is dropped, or with the process.
#[derive(Debug)]
pub(crate) struct Turn {
    _locks: Vec<File>,
}

impl Turn {
    /// Waits for it: beside others that share, or alone.
    pub(crate) fn take(shares: bool) -> Result<Self> {
        Self::take_in(&std::env::temp_dir(), shares, places())
    }

    fn take_in(directory: &Path, shares: bool, places: usize) -> Result<Self> {
        let path = directory.join("xenolith-nest.lock");
        let all = open(&path)?;
        let mut waiting = None;
        let free = if shares {
            all.try_lock_shared()
        } else {
            all.try_lock()
        };
        if free.is_err() {
            note(&mut waiting, &path);
            if shares {
                all.lock_shared()?;
            } else {
                all.lock()?;
            }
        }
        let mut locks = vec![all];
        if shares {
            locks.push(place(directory, places, &mut waiting)?);
        }
        if let Some(since) = waiting {
            let seconds = since.elapsed().as_secs();
            eprintln!("lab: waited {seconds} s for the other nest");
        }
        Ok(Self { _locks: locks })
    }
}

/// Waits for one of the places of those that share.
fn place(directory: &Path, places: usize, waiting: &mut Option<Instant>) -> Result<File> {
    let path = |number| directory.join(format!("xenolith-nest-{number}.lock"));
    loop {
        for number in 0..places {
            let lock = open(&path(number))?;
            if lock.try_lock().is_ok() {
                return Ok(lock);
            }
        }
        note(waiting, &path(0));
        thread::sleep(Duration::from_millis(100));
    }
}

/// Says once that it has to be waited.
fn note(waiting: &mut Option<Instant>, path: &Path) {
    waiting.get_or_insert_with(|| {
        let path = path.display();
        eprintln!("lab: another nest is running ({path} is locked); waiting for it");
        Instant::now()
    });
}

fn open(path: &PathBuf) -> Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let file = options.open(path);
    file.with_context(|| format!("opening {}", path.display()))
}

/// How many nests may share this machine.
pub(crate) fn places() -> usize {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    cpus.min(room(&memory)).max(1)
}

/// How many nests there is memory for, by what `/proc/meminfo` says.
fn room(memory: &str) -> usize {
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let kib: u64 = total.and_then(|total| total.parse().ok()).unwrap_or(0);
    usize::try_from(kib / NEST_KIB).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Turn, room};
    use crate::scratch::Scratch;
    use std::sync::mpsc::{self, Receiver};
    use std::thread;
    use std::time::Duration;

    /// Takes a turn on another thread; says so when it is there.
    fn ask(scratch: &Scratch, shares: bool) -> Receiver<Turn> {
        let (sender, receiver) = mpsc::channel();
        let directory = scratch.path().to_owned();
        thread::spawn(move || sender.send(Turn::take_in(&directory, shares, 2).unwrap()));
        receiver
    }

    fn must_wait(turn: &Receiver<Turn>) {
        let early = turn.recv_timeout(Duration::from_millis(300));
        assert!(early.is_err(), "it has to wait");
    }

    fn gets(turn: &Receiver<Turn>) -> Turn {
        turn.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    #[test]
    fn those_that_share_run_beside_each_other_as_far_as_there_are_places() {
        let scratch = Scratch::new().unwrap();
        let first = gets(&ask(&scratch, true));
        let second = gets(&ask(&scratch, true));
        let third = ask(&scratch, true);
        must_wait(&third);
        drop(first);
        let third = gets(&third);
        let alone = ask(&scratch, false);
        drop(second);
        must_wait(&alone);
        drop(third);
        gets(&alone);
    }

    #[test]
    fn one_that_is_alone_is_waited_for() {
        let scratch = Scratch::new().unwrap();
        for shares in [true, false] {
            let alone = gets(&ask(&scratch, false));
            let waiting = ask(&scratch, shares);
            must_wait(&waiting);
            drop(alone);
            gets(&waiting);
        }
    }

    #[test]
    fn a_nest_needs_memory() {
        assert_eq!(room("MemTotal:       16307840 kB\nMemFree: 1 kB\n"), 3);
        assert_eq!(room("nonsense"), 0);
    }
}
