//! The second process, which outlives the first one and removes what that leaves when it is killed.

use super::nodes::Nodes;
use super::options::Options;
use super::probe;
use anyhow::{Context, Result};
use std::env;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long the backend may take to go away.
const LIMIT: Duration = Duration::from_secs(10);

/// What the first process says when it is about to make nodes, and when they are gone. The last
/// word counts.
const NODES: &[u8] = b"+";
const NO_NODES: &[u8] = b"-";

/// The second process, as the first one has it.
pub(super) struct Sweeper(Child);

impl Sweeper {
    /// Starts it, in a process group of its own: the first one is killed with its group.
    pub(super) fn start() -> Result<Self> {
        let child = Command::new(env::current_exe()?)
            .args(env::args_os().skip(1))
            .arg("--sweep")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        child.map(Self).context("starting the second process")
    }

    /// Tells it whether there are nodes to remove.
    pub(super) fn tell(&mut self, is_attached: bool) -> Result<()> {
        let stdin = self.0.stdin.as_mut().context("it has no input")?;
        stdin.write_all(if is_attached { NODES } else { NO_NODES })?;
        Ok(())
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            eprintln!("frontend: the second process: {error}");
        }
    }
}

/// The second process: waits for the end of the first one.
pub(super) fn run(options: Options) -> Result<()> {
    let mut said = Vec::new();
    io::stdin().read_to_end(&mut said)?;
    if !said.ends_with(NODES) {
        return Ok(());
    }
    probe::show();
    Nodes::open(options, None)?.leave(LIMIT)
}
