//! Running a program with a time limit.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A program that ended, or was ended.
pub(super) struct Ended {
    /// Standard output, then standard error.
    pub text: String,
    /// How it ended; `None` if its time was up and it was killed.
    pub status: Option<ExitStatus>,
}

/// Runs a program, without input, at most for `limit`.
pub(super) fn run(command: &mut Command, limit: Duration) -> Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let pipes = [
        child.stdout.take().map(collect),
        child.stderr.take().map(collect),
    ];
    let deadline = Instant::now() + limit;
    let status = wait(&mut child, deadline)?;
    // A grandchild may hold the pipes open; what it would still say is not waited for.
    let patience = Duration::from_secs(1);
    let texts = pipes
        .into_iter()
        .flatten()
        .map(|pipe| pipe.recv_timeout(patience));
    let text = texts.map(Result::unwrap_or_default).collect();
    Ok(Ended { text, status })
}

/// Reads a pipe to its end.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is all there is.
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_and_how_it_ends_is_known() {
        let mut shell = Command::new("sh");
        let ended = run(shell.args(["-c", "echo out; echo err >&2; exit 3"]), MINUTE).unwrap();
        assert_eq!(ended.text, "out\nerr\n");
        assert_eq!(ended.status.and_then(|status| status.code()), Some(3));
    }

    #[test]
    fn a_program_whose_time_is_up_is_killed() {
        let start = Instant::now();
        let mut sleep = Command::new("sleep");
        let ended = run(sleep.arg("60"), Duration::from_millis(100)).unwrap();
        assert!(ended.status.is_none());
        assert!(start.elapsed() < MINUTE);
    }

    const MINUTE: Duration = Duration::from_secs(60);
}
