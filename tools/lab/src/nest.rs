//! A running nest.

use crate::guest::Guest;
use crate::link::{Link, Request};
use crate::machine::Machine;
use crate::options::Options;
use crate::output::Output;
use crate::running::Running;
use crate::{agent, progress, turn};
use anyhow::{Context, Result, bail};
use dom0::wire::{Command, Kind, MAX_BODY, Put};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How long a command may run unless its caller says otherwise, on dom0's clock.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// How long a file may take on its way.
const FILE_LIMIT: Duration = Duration::from_secs(120);

/// How long the way from QEMU's start to dom0's agent may take.
const BOOT_LIMIT: Duration = Duration::from_secs(180);

/// A nest whose dom0 is up, with `xl` usable. It ends when this is dropped, when its time limit
/// passes, or with this process.
pub struct Nest {
    machine: Arc<Machine>,
    link: Arc<Link>,
    /// Dropped, it ends the thread that watches the time limit.
    _watch: Sender<()>,
    icount: bool,
}

impl Nest {
    /// Starts a nest and waits until dom0 answers. What is missing is prepared first, which needs
    /// the network and takes minutes the first time. Waits for other nests on this machine to end,
    /// unless both share.
    ///
    /// # Errors
    /// If something cannot be prepared, or dom0 does not come up in time: with the end of the
    /// serial log, and where the whole of it is.
    pub fn boot(options: &Options) -> Result<Self> {
        let (machine, port) = Machine::start(options)?;
        let machine = Arc::new(machine);
        let (_watch, ended) = mpsc::channel();
        let (watched, limit) = (Arc::downgrade(&machine), options.time_limit);
        thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                end(&watched, limit);
            }
        });
        let (link, mut hello) = Link::new(port)?;
        let what = format!("booting the nest (Xen {})", options.suite.xen());
        let answer = progress::step(&what, || {
            hello
                .answer(Instant::now() + BOOT_LIMIT)?
                .context("dom0 did not come up in time")
        });
        let nest = Self {
            machine,
            link,
            _watch,
            icount: options.icount,
        };
        match answer {
            Ok(_) => Ok(nest),
            Err(error) => Err(error.context(nest.last_words())),
        }
    }

    /// Runs a line of bash in dom0's `/root` and waits for its end, at most [`COMMAND_LIMIT`].
    /// Its standard input is empty.
    ///
    /// # Errors
    /// If dom0 does not answer. A command that fails, or runs into its limit, is not an error here;
    /// see [`Nest::check`].
    pub fn run(&self, line: &str) -> Result<Output> {
        self.run_for(line, COMMAND_LIMIT)
    }

    /// [`Nest::run`] with another time limit.
    ///
    /// # Errors
    /// As [`Nest::run`].
    pub fn run_for(&self, line: &str, limit: Duration) -> Result<Output> {
        self.start(line, limit, false)?.wait()
    }

    /// Runs a line and returns its standard output.
    ///
    /// # Errors
    /// As [`Nest::run`], and with all that the command said if its exit status is not 0.
    pub fn check(&self, line: &str) -> Result<String> {
        let output = self.run(line)?;
        if !output.success() {
            bail!("in dom0: {line}\n{output}");
        }
        Ok(output.stdout)
    }

    /// Starts a line that may run for `limit`, and does not wait for it. With `input`, what is
    /// written to the [`Running`] is its standard input.
    ///
    /// # Errors
    /// If the nest has ended.
    pub fn start(&self, line: &str, limit: Duration, input: bool) -> Result<Running> {
        let command = Command {
            limit,
            input,
            line: line.to_owned(),
        };
        let deadline = Instant::now() + self.host_time(limit) + Duration::from_secs(10);
        let request = self.link.request(Kind::Run, command.encode())?;
        let (stdout, stderr) = (Vec::new(), Vec::new());
        Ok(Running {
            request,
            line: line.to_owned(),
            deadline,
            stdout,
            stderr,
        })
    }

    /// Starts a line that may run as long as the nest does.
    ///
    /// # Errors
    /// If the nest has ended.
    pub fn spawn(&self, line: &str) -> Result<Running> {
        self.start(line, Duration::from_secs(86_400), false)
    }

    /// Writes a file in dom0. Everybody may execute it.
    ///
    /// # Errors
    /// What dom0 says, for example that its disk is full.
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let put = Put {
            mode: 0o755,
            path: path.to_owned(),
        };
        let request = self.link.request(Kind::Put, put.encode())?;
        for part in bytes.chunks(MAX_BODY) {
            request.send(Kind::Data, part.to_vec())?;
        }
        request.send(Kind::End, Vec::new())?;
        request
            .complete(self.host_time(FILE_LIMIT))
            .with_context(|| format!("writing {path}"))?;
        Ok(())
    }

    /// Reads a file of dom0.
    ///
    /// # Errors
    /// What dom0 says, for example that there is no such file.
    pub fn get(&self, path: &str) -> Result<Vec<u8>> {
        let request = self.link.request(Kind::Get, path.into())?;
        request
            .complete(self.host_time(FILE_LIMIT))
            .with_context(|| format!("reading {path}"))
    }

    /// Starts a domain: `xl create` of `config`, with `name` in place of the name it may have.
    /// The paths in it are dom0's.
    ///
    /// # Errors
    /// What xl says.
    pub fn create_guest(&self, name: &str, config: &str) -> Result<Guest<'_>> {
        Guest::create(self, name, config)
    }

    /// Sends what is in a file and what is appended to it, for as long as the request lives.
    pub(crate) fn follow(&self, path: &str) -> Result<Request> {
        self.link.request(Kind::Follow, path.into())
    }

    /// Opens a terminal to write to, for as long as the request lives.
    pub(crate) fn terminal(&self, path: &str) -> Result<Request> {
        self.link.request(Kind::Terminal, path.into())
    }

    /// Where the host reaches [`crate::network::Forward`].
    pub(crate) fn page(&self) -> SocketAddr {
        self.machine.page()
    }

    /// Xen's own log: `xl dmesg`.
    ///
    /// # Errors
    /// If dom0 does not answer.
    pub fn xen_log(&self) -> Result<String> {
        self.check("xl dmesg")
    }

    /// What Xen and dom0's kernel said on the serial line so far.
    #[must_use]
    pub fn serial_log(&self) -> String {
        String::from_utf8_lossy(&self.machine.serial()).into_owned()
    }

    /// Ends the nest now. Whatever waits for something in it gets an error.
    pub fn end(&self) {
        self.machine.kill();
    }

    /// Keeps the serial log in `target/lab`; returns its end and the file's name.
    fn last_words(&self) -> String {
        let log = self.serial_log();
        let kept = keep(&log).unwrap_or_else(|error| format!("(not kept: {error})"));
        let lines: Vec<_> = log.lines().collect();
        let end = &lines[lines.len().saturating_sub(20)..];
        format!(
            "the nest did not come up. Its serial log is in {kept}; its end:\n{}",
            end.join("\n")
        )
    }

    /// How long the host may have to wait for something that may take `limit` in dom0.
    fn host_time(&self, limit: Duration) -> Duration {
        if self.icount { limit * 8 } else { limit }
    }
}

/// How many nests that share run beside each other on this machine: one for each CPU, if there is
/// memory for them.
#[must_use]
pub fn at_once() -> usize {
    turn::places()
}

impl Drop for Nest {
    fn drop(&mut self) {
        if thread::panicking() {
            match keep(&self.serial_log()) {
                Ok(kept) => eprintln!("lab: the nest's serial log is in {kept}"),
                Err(error) => eprintln!("lab: the nest's serial log is not kept: {error}"),
            }
        }
    }
}

fn keep(log: &str) -> Result<String> {
    let directory = agent::workspace()?.join("target/lab");
    fs::create_dir_all(&directory)?;
    let path: PathBuf = directory.join(format!("serial-{}.log", std::process::id()));
    fs::write(&path, log)?;
    Ok(path.display().to_string())
}

fn end(machine: &Weak<Machine>, limit: Duration) {
    if let Some(machine) = machine.upgrade() {
        eprintln!(
            "lab: the nest has run for {} s, its time limit; ending it",
            limit.as_secs()
        );
        machine.kill();
    }
}
