//! A program of ours in dom0 that takes orders: the block backend or the block frontend of
//! `tools/dom0`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::running::Read;
use lab::{Nest, Running};

/// How long it may take to obey: a detach up to ten seconds, a storm longer on a busy machine.
const OBEY: Duration = Duration::from_secs(40);
/// How long one may run.
const LIFE: Duration = Duration::from_secs(120);

/// The process in dom0. Dropped, it is killed, and all it has mapped is unmapped.
pub(super) struct Peer {
    running: Running,
    said: String,
    complaints: String,
}

impl Peer {
    /// Starts it: `line` is a line of bash that becomes it.
    pub(super) fn start(nest: &Nest, line: &str) -> Result<Self> {
        Ok(Self {
            running: nest.start(line, LIFE, true)?,
            said: String::new(),
            complaints: String::new(),
        })
    }

    /// Gives an order; returns what it says once it has obeyed.
    pub(super) fn obey(&mut self, order: &str) -> Result<String> {
        self.tell(order)?;
        self.answer().with_context(|| order.to_owned())
    }

    /// Gives an order and does not wait.
    pub(super) fn tell(&self, order: &str) -> Result<()> {
        self.running.input().write(format!("{order}\n").as_bytes())
    }

    /// Waits until an order is obeyed, and returns what it says, all lines of it.
    pub(super) fn answer(&mut self) -> Result<String> {
        let (said, answer) = self.verdict()?;
        let rest = answer.strip_prefix("ok ");
        let rest = rest.with_context(|| format!("{said}{answer} {}", self.complaints))?;
        Ok(said + rest)
    }

    /// Gives an order that cannot be obeyed; returns why.
    pub(super) fn refuses(&mut self, order: &str) -> Result<String> {
        self.tell(order)?;
        let (said, answer) = self.verdict()?;
        let why = answer.strip_prefix("failed ");
        let why = why.with_context(|| format!("{order}: {said}{answer}"))?;
        Ok(said + why)
    }

    /// The line that ends an answer, and those before it.
    fn verdict(&mut self) -> Result<(String, String)> {
        let deadline = Instant::now() + OBEY;
        let mut before = String::new();
        loop {
            while let Some((line, rest)) = self.said.split_once('\n') {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.said = rest;
                if line.starts_with("ok ") || line.starts_with("failed ") {
                    return Ok((before, line));
                }
                before.push_str(&line);
                before.push('\n');
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.running.read(left)? {
                Read::Stdout(bytes) => self.said.push_str(&String::from_utf8_lossy(&bytes)),
                Read::Stderr(bytes) => self.complaints.push_str(&String::from_utf8_lossy(&bytes)),
                Read::Ended(how) => bail!("it ended ({how:?}): {before}{}", self.complaints),
                Read::Nothing => bail!("it does not obey: {before}{}", self.complaints),
            }
        }
    }

    /// Ends it, after it has unmapped everything and removed its nodes.
    pub(super) fn end(self) -> Result<()> {
        self.running.input().end()?;
        let output = self.running.wait()?;
        ensure!(output.success(), "it ended: {output}{}", self.complaints);
        Ok(())
    }
}
