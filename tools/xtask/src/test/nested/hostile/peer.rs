//! A block backend of ours in dom0, told what to do: `tools/dom0/src/backend`.

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
    /// Starts it for the device `vdev` of the domain `id`, over a file of dom0. `options` are the
    /// program's own.
    pub(super) fn start(
        nest: &Nest,
        id: u32,
        vdev: u32,
        file: &str,
        options: &str,
    ) -> Result<Self> {
        let line =
            format!("exec /run/lab/backend --domain {id} --vdev {vdev} --disk {file} {options}");
        Ok(Self {
            running: nest.start(&line, LIFE, true)?,
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

    /// Waits until an order is obeyed, and returns what it says.
    pub(super) fn answer(&mut self) -> Result<String> {
        let deadline = Instant::now() + OBEY;
        let answer = loop {
            if let Some((line, rest)) = self.said.split_once('\n') {
                let line = line.to_owned();
                self.said = rest.to_owned();
                break line;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.running.read(left)? {
                Read::Stdout(bytes) => self.said.push_str(&String::from_utf8_lossy(&bytes)),
                Read::Stderr(bytes) => self.complaints.push_str(&String::from_utf8_lossy(&bytes)),
                Read::Ended(how) => bail!("the backend ended ({how:?}): {}", self.complaints),
                Read::Nothing => bail!("the backend does not obey"),
            }
        };
        let said = answer.strip_prefix("ok ");
        let said = said.with_context(|| format!("{answer} {}", self.complaints))?;
        Ok(said.to_owned())
    }

    /// Ends it, after it has unmapped everything and removed its nodes.
    pub(super) fn end(self) -> Result<()> {
        self.running.input().end()?;
        let output = self.running.wait()?;
        ensure!(output.success(), "the backend: {output}{}", self.complaints);
        Ok(())
    }
}
