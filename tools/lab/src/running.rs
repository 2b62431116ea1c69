//! Commands under way in dom0.

use crate::link::{Request, Sender};
use crate::output::Output;
use anyhow::{Result, bail};
use dom0::wire::{Ending, Frame, Kind, MAX_BODY};
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

    /// The command's output as it comes: waits until there is more, or the command ended, or
    /// `limit` is over. What is returned here is not in the [`Output`] any more.
    ///
    /// # Errors
    /// If the nest ends.
    pub fn read(&mut self, limit: Duration) -> Result<Read> {
        let Some(frame) = self.request.answer(Instant::now() + limit)? else {
            return Ok(Read::Nothing);
        };
        Ok(match frame.kind {
            Kind::Stdout => Read::Stdout(frame.body),
            Kind::Stderr => Read::Stderr(frame.body),
            _ => Read::Ended(ending(&frame)?),
        })
    }

    /// The command's standard input, if it was started with one. It may be used by another thread.
    #[must_use]
    pub fn input(&self) -> Input {
        Input(self.request.sender())
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

/// A command's standard input. Writing to one that has ended does nothing.
pub struct Input(Sender);

impl Input {
    /// Writes to it.
    ///
    /// # Errors
    /// If the nest ends.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        bytes
            .chunks(MAX_BODY)
            .try_for_each(|part| self.0.send(Kind::Data, part.to_vec()))
    }

    /// Closes it.
    ///
    /// # Errors
    /// If the nest ends.
    pub fn end(&self) -> Result<()> {
        self.0.send(Kind::End, Vec::new())
    }

    /// Kills the command.
    ///
    /// # Errors
    /// If the nest ends.
    pub fn kill(&self) -> Result<()> {
        self.0.send(Kind::Kill, Vec::new())
    }
}

/// What [`Running::read`] found.
#[derive(Debug)]
pub enum Read {
    /// The command wrote this to its standard output.
    Stdout(Vec<u8>),
    /// The command wrote this to its standard error.
    Stderr(Vec<u8>),
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
