//! Commands under way in dom0.

use crate::link::Request;
use crate::output::Output;
use anyhow::{Result, bail};
use dom0::wire::{Ending, Frame, Kind};
use std::time::{Duration, Instant};

/// A command that was started and not yet waited for. Dropped, it is killed.
pub struct Running {
    pub(crate) request: Request,
    pub(crate) line: String,
    /// When the answer is overdue, the agent's own limit having passed.
    pub(crate) deadline: Instant,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Running {
    /// Waits for the command's end.
    ///
    /// # Errors
    /// If dom0 does not answer even after the command's time limit, or the nest ends.
    pub fn wait(mut self) -> Result<Output> {
        let deadline = self.deadline;
        match self.step(deadline)? {
            Some(output) => Ok(output),
            None => bail!(
                "dom0 does not answer any more; it was running: {}",
                self.line
            ),
        }
    }

    /// Waits for the command's end at most `limit`; none if it goes on.
    ///
    /// # Errors
    /// If the nest ends.
    pub fn wait_for(&mut self, limit: Duration) -> Result<Option<Output>> {
        self.step(Instant::now() + limit)
    }

    /// What the command has written to its standard output since the last call, as it comes:
    /// waits until there is some, or the command ended, or `limit` is over.
    ///
    /// # Errors
    /// If the nest ends.
    pub fn read(&mut self, limit: Duration) -> Result<Read> {
        match self.request.answer(Instant::now() + limit)? {
            None => Ok(Read::Nothing),
            Some(Frame {
                kind: Kind::Stdout | Kind::Stderr,
                body,
                ..
            }) => Ok(Read::Bytes(body)),
            Some(frame) => Ok(Read::Ended(ending(&frame)?)),
        }
    }

    /// Writes to the command's standard input, if it was started with one.
    ///
    /// # Errors
    /// If the nest ends.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.request.send(Kind::Data, bytes.to_vec())
    }

    /// Kills the command with its process group and waits for that.
    ///
    /// # Errors
    /// If dom0 does not answer within ten seconds, or the nest ends.
    pub fn kill(mut self) -> Result<Output> {
        self.request.send(Kind::Kill, Vec::new())?;
        match self.step(Instant::now() + Duration::from_secs(10))? {
            Some(output) => Ok(output),
            None => bail!(
                "dom0 does not answer any more; it was to kill: {}",
                self.line
            ),
        }
    }

    fn step(&mut self, deadline: Instant) -> Result<Option<Output>> {
        loop {
            let Some(frame) = self.request.answer(deadline)? else {
                return Ok(None);
            };
            match frame.kind {
                Kind::Stdout => self.stdout.extend_from_slice(&frame.body),
                Kind::Stderr => self.stderr.extend_from_slice(&frame.body),
                _ => {
                    return Ok(Some(Output {
                        ending: ending(&frame)?,
                        stdout: String::from_utf8_lossy(&self.stdout).into_owned(),
                        stderr: String::from_utf8_lossy(&self.stderr).into_owned(),
                    }));
                }
            }
        }
    }
}

/// What [`Running::read`] found.
#[derive(Debug)]
pub enum Read {
    /// The command wrote this to its standard output or standard error.
    Bytes(Vec<u8>),
    /// The command ended.
    Ended(Ending),
    /// Nothing within the limit.
    Nothing,
}

fn ending(frame: &Frame) -> Result<Ending> {
    match Ending::decode(&frame.body) {
        Some(ending) if frame.kind == Kind::Exit => Ok(ending),
        _ => bail!("the agent answered {:?} {:?}", frame.kind, frame.body),
    }
}
