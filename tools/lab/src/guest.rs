//! Domains in a nest, and their consoles.

use crate::link::Request;
use crate::nest::{COMMAND_LIMIT, Nest};
use crate::output::Output;
use anyhow::{Context, Result, bail};
use dom0::wire::{Frame, Kind};
use std::cell::Cell;
use std::time::{Duration, Instant};

mod text;

pub use text::Reason;
use text::Transcript;

/// What the shell of a Xenolith guest prints when it waits for a line.
pub const PROMPT: &str = "xenolith> ";

/// Where xenconsoled writes what guests print.
const CONSOLES: &str = "/var/log/xen/console";

/// A domain that this host started. Dropped, it is destroyed.
///
/// Its console is read from xenconsoled's log, so nothing it ever printed is missed, and is kept
/// here; "since" below means since what the last call returned.
pub struct Guest<'nest> {
    nest: &'nest Nest,
    name: String,
    log: Request,
    keyboard: Option<Request>,
    /// It may be another domain by now than the one that was created.
    another: bool,
    console: Transcript,
    /// How many times it has shut down and this was reported.
    shutdowns: usize,
    /// There is no such domain any more.
    gone: Cell<bool>,
}

impl<'nest> Guest<'nest> {
    pub(crate) fn create(nest: &'nest Nest, name: &str, config: &str) -> Result<Self> {
        let path = format!("/run/lab/{name}.cfg");
        nest.put(&path, text::named(config, name).as_bytes())?;
        // xenconsoled appends; a log of an earlier guest of this name is not this one's.
        nest.check(&format!(
            "rm -f {CONSOLES}/guest-{name}.log && xl create {path}"
        ))?;
        Self::attach(nest, name)
    }

    /// The domain `name`, which something else than [`Nest::create_guest`] started.
    ///
    /// # Errors
    /// If the nest has ended.
    pub fn attach(nest: &'nest Nest, name: &str) -> Result<Self> {
        let log = nest.follow(&format!("{CONSOLES}/guest-{name}.log"))?;
        let (console, name) = (Transcript::default(), name.to_owned());
        Ok(Self {
            nest,
            name,
            log,
            keyboard: None,
            another: false,
            console,
            shutdowns: 0,
            gone: Cell::new(false),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its present domain id; a reboot changes it.
    ///
    /// # Errors
    /// If there is no such domain any more.
    pub fn id(&self) -> Result<u32> {
        let id = self.nest.check(&format!("xl domid {}", self.name))?;
        id.trim()
            .parse()
            .with_context(|| format!("domain id {id:?}"))
    }

    /// Everything that was on its console so far.
    ///
    /// # Errors
    /// If the nest ends.
    pub fn console(&mut self) -> Result<&str> {
        while self.read(Instant::now())? {}
        Ok(self.console.all())
    }

    /// Waits until `text` is on the console; returns all that was printed since, up to and with it.
    ///
    /// # Errors
    /// If it does not come within `limit` on the host's clock: with what came.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<String> {
        self.take(&format!("{text:?}"), limit, |console| {
            console.take_through(text)
        })
    }

    /// What the console shows within `time`, since.
    ///
    /// # Errors
    /// If the nest ends.
    pub fn watch(&mut self, time: Duration) -> Result<String> {
        let deadline = Instant::now() + time;
        while self.read(deadline)? {}
        Ok(self.console.take_all())
    }

    /// Types on the console. Enter is `\r`, as it is on a keyboard.
    ///
    /// # Errors
    /// If there is no such domain or it has no console.
    pub fn send(&mut self, keys: &str) -> Result<()> {
        let keyboard = match self.keyboard.take() {
            Some(keyboard) => keyboard,
            None => self.open_keyboard()?,
        };
        keyboard.send(Kind::Data, keys.into())?;
        self.keyboard = Some(keyboard);
        Ok(())
    }

    /// Types a line at Xenolith's shell, which must be waiting for one; returns what it prints
    /// until its next prompt, without the echoed line.
    ///
    /// # Errors
    /// If the prompt does not come back within [`COMMAND_LIMIT`].
    pub fn command(&mut self, line: &str) -> Result<String> {
        self.command_for(line, COMMAND_LIMIT)
    }

    /// [`Guest::command`] with another time limit.
    ///
    /// # Errors
    /// As [`Guest::command`].
    pub fn command_for(&mut self, line: &str, limit: Duration) -> Result<String> {
        self.console()?;
        self.console.take_all();
        self.send(&format!("{line}\r"))?;
        let what = format!("end of the command {line:?}");
        self.take(&what, limit, |console| console.take_answer(line, PROMPT))
    }

    /// After a reboot, a restore or a migration: the new domain has a new console, whose keyboard
    /// is to be opened.
    pub fn reconnect(&mut self) {
        self.keyboard = None;
        self.another = true;
    }

    /// Waits until the domain shuts down, however it does so, and says why. What xl then does with
    /// it, its config says. Each shutdown is reported once.
    ///
    /// # Errors
    /// If it goes on for more than `limit`.
    pub fn wait_shutdown(&mut self, limit: Duration) -> Result<Reason> {
        let deadline = Instant::now() + limit;
        let mut log = self.follow_xl()?;
        let mut said = Vec::new();
        loop {
            let reasons = text::reasons(&String::from_utf8_lossy(&said));
            if let Some(reason) = reasons.get(self.shutdowns) {
                self.shutdowns += 1;
                self.another = true;
                return Ok(*reason);
            }
            match log.answer(deadline)? {
                Some(frame) => said.extend(frame.body),
                None => break,
            }
        }
        let console = self.console()?.to_owned();
        let (name, seconds) = (&self.name, limit.as_secs());
        bail!("{name} did not shut down within {seconds} s; its console:\n{console}")
    }

    /// Waits until there is no domain of this name any more.
    ///
    /// # Errors
    /// If there is one for more than `limit`.
    pub fn wait_gone(&self, limit: Duration) -> Result<()> {
        // xl itself is at work meanwhile, and there is one CPU for both: asking begins when it says
        // that it is done, or in the second half of the time, if somebody has ended it.
        let now = Instant::now();
        let (deadline, half) = (now + limit, now + limit / 2);
        let mut log = self.follow_xl()?;
        let mut said = Vec::new();
        while !text::is_cleared_away(&String::from_utf8_lossy(&said)) {
            match log.answer(half)? {
                Some(frame) => said.extend(frame.body),
                None => break,
            }
        }
        drop(log);
        let line = format!(
            "while xl domid {} >/dev/null 2>&1; do sleep 0.3; done",
            self.name
        );
        let left = deadline.saturating_duration_since(Instant::now());
        let output = self.nest.run_for(&line, left)?;
        if !output.success() {
            bail!("{} is still there after {} s", self.name, limit.as_secs());
        }
        self.gone.set(true);
        Ok(())
    }

    /// Destroys the domain, if there is one.
    ///
    /// # Errors
    /// If it is still there afterwards.
    pub fn destroy(self) -> Result<()> {
        if self.end()?.success() {
            // xl has seen to it.
            self.gone.set(true);
            return Ok(());
        }
        self.wait_gone(COMMAND_LIMIT)
    }

    /// What xl says of the domain, which it watches as long as there is one.
    fn follow_xl(&self) -> Result<Request> {
        self.nest.follow(&self.xl_log())
    }

    fn xl_log(&self) -> String {
        format!("/var/log/xen/xl-{}.log", self.name)
    }

    fn end(&self) -> Result<Output> {
        let line = format!("xl destroy {}", self.name);
        self.nest.run_for(&line, Duration::from_secs(15))
    }

    /// Takes in the console until `taker` finds in it what it looks for.
    fn take(
        &mut self,
        what: &str,
        limit: Duration,
        taker: impl Fn(&mut Transcript) -> Option<String>,
    ) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(found) = taker(&mut self.console) {
                return Ok(found);
            }
            if !self.read(deadline)? {
                let (name, rest) = (&self.name, self.console.rest());
                bail!("{name}: no {what} on the console within {limit:?}; there was:\n{rest}");
            }
        }
    }

    /// Takes in more of the console; whether there was more until `deadline`.
    fn read(&mut self, deadline: Instant) -> Result<bool> {
        match self.log.answer(deadline)? {
            Some(Frame {
                kind: Kind::Data,
                body,
                ..
            }) => self.console.add(&body),
            Some(frame) => bail!("the agent answered {:?}", frame.kind),
            None => return Ok(false),
        }
        Ok(true)
    }

    fn open_keyboard(&self) -> Result<Request> {
        // To start xl takes a sixth of a second here; its log tells of the first domain, at least.
        let log = self.nest.get(&self.xl_log()).unwrap_or_default();
        let first = text::domain_id(&String::from_utf8_lossy(&log)).filter(|_| !self.another);
        let id = first.map_or_else(|| format!("$(xl domid {})", self.name), |id| id.to_string());
        // xenconsoled makes the terminal a moment after the domain.
        let line = format!(
            "for i in {{1..50}}; do xenstore-read /local/domain/{id}/console/tty && break; \
             sleep 0.1; done 2>/dev/null"
        );
        let terminal = self.nest.check(&line)?;
        if terminal.trim().is_empty() {
            bail!("{} has no console to type at", self.name);
        }
        self.nest.terminal(terminal.trim())
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        // Best effort: the nest may be gone.
        if !self.gone.get() {
            let _ = self.end();
        }
    }
}
