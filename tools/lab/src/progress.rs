//! Long steps, shown as they run.

use anyhow::Result;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `work` and shows on standard error that it runs and how long it took. On a terminal one
/// line counts the seconds; elsewhere a line is written at the start, each half minute and at
/// the end.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let terminal = std::io::stderr().is_terminal();
    let started = Instant::now();
    let (done, ended) = mpsc::channel::<()>();
    say(terminal, &format!("lab: {what} ..."));
    let result = thread::scope(|scope| {
        scope.spawn(move || {
            let every = Duration::from_secs(if terminal { 1 } else { 30 });
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                say(
                    terminal,
                    &format!("lab: {what} ... {} s", started.elapsed().as_secs()),
                );
            }
        });
        let result = work();
        drop(done);
        result
    });
    let outcome = if result.is_ok() { "done" } else { "FAILED" };
    say(
        terminal,
        &format!(
            "lab: {what}: {outcome} in {:.1} s",
            started.elapsed().as_secs_f32()
        ),
    );
    if terminal {
        eprintln!();
    }
    result
}

fn say(terminal: bool, line: &str) {
    let mut to = std::io::stderr().lock();
    // Progress that cannot be shown is no reason to fail.
    let _ = if terminal {
        write!(to, "\r\x1b[K{line}")
    } else {
        writeln!(to, "{line}")
    };
    let _ = to.flush();
}
