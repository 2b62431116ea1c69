//! A program in dom0 at the user's own terminal.

use crate::nest::Nest;
use crate::running::{Read, Running};
use anyhow::{Context, Result};
use dom0::wire::Ending;
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, IsTerminal, Read as _, Write};
use std::thread;
use std::time::Duration;

mod escape;

use escape::Escape;

/// What a user may type at any time to end the nest.
pub const WAY_OUT: &str = "Ctrl-A X";

/// A time limit for a nest that a user ends.
pub const FOR_EVER: Duration = Duration::from_secs(86_400);

/// A shell in dom0; see [`attach`]. Without a terminal it reads commands from standard input.
///
/// # Errors
/// As [`attach`].
pub fn shell(nest: &Nest) -> Result<Ending> {
    if io::stdin().is_terminal() {
        eprintln!("lab: a shell in dom0; exit or {WAY_OUT} ends the nest");
    }
    attach(nest, "exec bash")
}

/// Runs a line of bash in dom0 at the terminal of this process: every key reaches it, except
/// [`WAY_OUT`]. If standard input is no terminal, it is the program's standard input, and the
/// program has no terminal either. Returns when the program ends, and how it did.
///
/// # Errors
/// If the nest ends, or the terminal cannot be set.
pub fn attach(nest: &Nest, line: &str) -> Result<Ending> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return converse(nest.start(line, FOR_EVER, true)?, None);
    }
    let Winsize { ws_row, ws_col, .. } = tcgetwinsize(&stdin)?;
    let script = "/run/lab/terminal.sh";
    nest.put(
        script,
        format!("stty rows {ws_row} cols {ws_col}\n{line}\n").as_bytes(),
    )?;
    let pty =
        format!("exec socat -lf /dev/null -t 1 - EXEC:'bash {script}',pty,stderr,setsid,ctty,sane");
    let running = nest.start(&pty, FOR_EVER, true)?;
    let _raw = Raw::new()?;
    converse(running, Some(Escape::default()))
}

/// Passes input and output on until the program ends, or the user wants out.
fn converse(mut running: Running, escape: Option<Escape>) -> Result<Ending> {
    let input = running.input();
    thread::spawn(move || -> Result<()> {
        let mut escape = escape;
        let mut buffer = [0; 4096];
        loop {
            let length = io::stdin().read(&mut buffer)?;
            let (keys, out) = match &mut escape {
                Some(escape) => escape.feed(&buffer[..length]),
                None => (buffer[..length].to_vec(), false),
            };
            input.write(&keys)?;
            if out {
                return input.kill();
            }
            if length == 0 {
                return input.end();
            }
        }
    });
    loop {
        match running.read(FOR_EVER)? {
            Read::Stdout(bytes) => print(&mut io::stdout(), &bytes)?,
            Read::Stderr(bytes) => print(&mut io::stderr(), &bytes)?,
            Read::Ended(ending) => break Ok(ending),
            Read::Nothing => break Ok(Ending::TimedOut),
        }
    }
}

fn print(to: &mut impl Write, bytes: &[u8]) -> Result<()> {
    to.write_all(bytes)
        .and_then(|()| to.flush())
        .context("writing to the terminal")
}

/// The terminal in raw mode, until dropped.
struct Raw(Termios);

impl Raw {
    fn new() -> Result<Self> {
        let before = tcgetattr(io::stdin()).context("reading the terminal's settings")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).context("setting the terminal")?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, &self.0) {
            eprintln!("lab: the terminal stays raw ({error}); `reset` makes it usable\r");
        }
    }
}
