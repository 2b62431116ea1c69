//! Programs that may take their time, but not for ever.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long its last words may take after its end: something it started may hold the pipe.
const WORDS: Duration = Duration::from_secs(1);
/// How much of what it says is kept.
const KEPT: u64 = 16 << 10;

/// Runs `program` with these words and no input. `Err` has what it said to its standard error if
/// it failed or had to be killed.
pub(crate) fn run(program: &str, words: &[&str], limit: Duration) -> Result<Result<(), String>> {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}; this is for dom0, as root"))?;
    let (sender, said) = mpsc::channel();
    if let Some(pipe) = child.stderr.take() {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // What came before an error is all there is.
            let _ = pipe.take(KEPT).read_to_end(&mut bytes);
            let _ = sender.send(String::from_utf8_lossy(&bytes).trim().to_owned());
        });
    }
    let status = wait(&mut child, limit)?;
    let said = said.recv_timeout(WORDS).unwrap_or_default();
    Ok(match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{program}: {status}: {said}")),
        None => {
            let seconds = limit.as_secs();
            Err(format!(
                "{program} did not end within {seconds} s and was killed: {said}"
            ))
        }
    })
}

/// How it ended; `None` if it had to be killed.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            // One that cannot be killed is not waited for.
            child.kill()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_program_says_when_it_fails_is_told() {
        assert_eq!(run("true", &[], MINUTE).unwrap(), Ok(()));
        let said = run("sh", &["-c", "echo no >&2; exit 3"], MINUTE).unwrap();
        let said = said.unwrap_err();
        assert!(said.contains('3') && said.ends_with("no"), "{said}");
        assert!(run("no-such-program", &[], MINUTE).is_err());
    }

    #[test]
    fn one_that_does_not_end_is_killed() {
        let begun = Instant::now();
        let said = run("sleep", &["60"], Duration::from_millis(100)).unwrap();
        assert!(said.unwrap_err().contains("was killed"));
        assert!(begun.elapsed() < MINUTE / 2);
    }

    #[test]
    fn words_reach_it_as_they_are() {
        let word = "a b'c\"$(exit 7);\n";
        let script = "test \"$1\" = \"$2\"";
        let same = run("sh", &["-c", script, "sh", word, word], MINUTE).unwrap();
        assert_eq!(same, Ok(()));
    }
}
