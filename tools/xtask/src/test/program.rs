//! Running a program with a time limit.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Runs "$@" as this process, without input. As with the lab's QEMU, a helper reads the input in
/// its place: at its end, when whoever holds the other end has died by whatever signal, it kills
/// what this process became. A line says that there is nothing to kill.
const LEASH: &str = "exec 3<&0\n\
                     (read -r _ <&3 || kill -9 $$) >/dev/null 2>&1 &\n\
                     exec 3<&-\n\
                     exec \"$@\" </dev/null";

/// A program that ended, or was ended.
pub(super) struct Ended {
    /// Standard output, then standard error.
    pub text: String,
    /// How it ended; `None` if its time was up and it was killed.
    pub status: Option<ExitStatus>,
}

/// Runs a program, without input, at most for `limit`, and no longer than this process lives.
pub(super) fn run(command: &Command, limit: Duration) -> Result<Ended> {
    let mut child = leashed(command)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let pipes = [
        child.stdout.take().map(collect),
        child.stderr.take().map(collect),
    ];
    let deadline = Instant::now() + limit;
    // Waiting for a child closes its input.
    let leash = child.stdin.take();
    let status = wait(&mut child, deadline)?;
    if let Some(mut leash) = leash {
        // The helper may have been killed by somebody else.
        let _ = leash.write_all(b"ended\n");
    }
    // A grandchild may hold the pipes open; what it would still say is not waited for.
    let patience = Duration::from_secs(1);
    let texts = pipes
        .into_iter()
        .flatten()
        .map(|pipe| pipe.recv_timeout(patience));
    let text = texts.map(Result::unwrap_or_default).collect();
    Ok(Ended { text, status })
}

/// The same program, which is killed when its input is closed.
fn leashed(command: &Command) -> Command {
    let mut leashed = Command::new("/bin/sh");
    leashed.args(["-c", LEASH, "sh"]);
    leashed.arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => leashed.env(key, value),
            None => leashed.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        leashed.current_dir(folder);
    }
    leashed.stdin(Stdio::piped());
    leashed
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
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn what_a_program_prints_and_how_it_ends_is_known() {
        let mut shell = Command::new("sh");
        let ended = run(shell.args(["-c", "echo out; echo err >&2; exit 3"]), MINUTE).unwrap();
        assert_eq!(ended.text, "out\nerr\n");
        assert_eq!(ended.status.and_then(|status| status.code()), Some(3));
    }

    #[test]
    fn a_program_has_its_folder_and_its_variables_and_no_input() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "pwd; echo $XENOLITH_WORD; cat"]);
        shell.current_dir("/").env("XENOLITH_WORD", "two words");
        assert_eq!(run(&shell, MINUTE).unwrap().text, "/\ntwo words\n");
    }

    #[test]
    fn a_program_dies_with_who_runs_it() {
        let mut sleep = Command::new("sleep");
        let mut child = leashed(sleep.arg("60")).spawn().unwrap();
        thread::sleep(Duration::from_millis(300));
        assert_eq!(child.try_wait().unwrap(), None, "it lives while it is held");
        drop(child.stdin.take()); // As the kernel does when this process dies.
        assert_eq!(child.wait().unwrap().signal(), Some(9));
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
