//! What a command in dom0 said.

pub use dom0::wire::Ending;
use std::fmt;

/// A finished command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub ending: Ending,
    /// Its standard output; what was not UTF-8 is replaced.
    pub stdout: String,
    /// Its standard error; what was not UTF-8 is replaced.
    pub stderr: String,
}

impl Output {
    /// Whether it exited with status 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.ending == Ending::Exited(0)
    }

    /// Its exit status; none if it was killed.
    #[must_use]
    pub fn status(&self) -> Option<i32> {
        match self.ending {
            Ending::Exited(status) => Some(status),
            _ => None,
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ending {
            Ending::Exited(status) => writeln!(to, "exit status {status}")?,
            Ending::Signalled(signal) => writeln!(to, "ended by signal {signal}")?,
            Ending::TimedOut => writeln!(to, "ran into its time limit")?,
            Ending::Killed => writeln!(to, "killed")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(to, "--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}
