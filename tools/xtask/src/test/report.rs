//! What each part found, and the last line.

use std::fmt;
use std::time::{Duration, Instant};

/// What one part found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed: name, and what is known about why.
    pub failed: Vec<(String, String)>,
    /// Tests that did not run though they were asked for.
    pub skipped: Vec<String>,
}

impl Found {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Notes a test that passed if there are no problems.
    pub(super) fn note(&mut self, name: &str, problems: &[String]) {
        if problems.is_empty() {
            self.passed += 1;
        } else {
            self.failed.push((name.to_owned(), problems.join("\n")));
        }
    }

    /// Adds what another part found.
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }
}

/// The last line: `N passed, N failed, N skipped`.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        write!(
            f,
            "{} passed, {failed} failed, {skipped} skipped",
            self.passed
        )
    }
}

/// The parts so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    total: Found,
}

impl Report {
    /// Runs a part and prints what it found and how long it took. An error in the part's own work
    /// is a failure under the part's name.
    pub(super) fn part(&mut self, name: &str, work: impl FnOnce() -> anyhow::Result<Found>) {
        println!("== {name}");
        let start = Instant::now();
        let found = work().unwrap_or_else(|error| Found {
            failed: vec![(name.to_owned(), format!("{error:#}"))],
            ..Found::default()
        });
        for (name, why) in &found.failed {
            println!("FAILED {name}");
            for line in why.lines() {
                println!("    {line}");
            }
        }
        println!("   {name}: {found} in {}", seconds(start.elapsed()));
        self.total.add(found);
    }

    /// Prints the failures again, by name, and the last line. Whether the gate passes.
    pub(super) fn end(&self, may_skip: bool) -> bool {
        println!();
        for (name, _) in &self.total.failed {
            println!("FAILED {name}");
        }
        for name in &self.total.skipped {
            println!("skipped {name}");
        }
        println!("{}", self.total);
        passes(&self.total, may_skip)
    }
}

/// A gate that passed nothing has shown nothing.
fn passes(total: &Found, may_skip: bool) -> bool {
    total.passed > 0 && total.failed.is_empty() && (may_skip || total.skipped.is_empty())
}

/// A time as people read it.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let mut report = Report::default();
        report.part("one", || {
            let mut found = Found::new();
            found.note("good", &[]);
            found.note("bad", &["a".to_owned(), "b".to_owned()]);
            Ok(found)
        });
        report.part("two", || anyhow::bail!("cannot start"));
        assert_eq!(report.total.to_string(), "1 passed, 2 failed, 0 skipped");
        assert_eq!(
            report.total.failed[0],
            ("bad".to_owned(), "a\nb".to_owned())
        );
        assert_eq!(
            report.total.failed[1],
            ("two".to_owned(), "cannot start".to_owned())
        );
        assert!(!report.end(true));
    }

    #[test]
    fn a_skip_fails_the_gate_unless_it_was_asked_for() {
        let skipping = Found {
            passed: 1,
            skipped: vec!["nested".to_owned()],
            ..Found::default()
        };
        assert!(!passes(&skipping, false));
        assert!(passes(&skipping, true));
    }

    #[test]
    fn a_gate_that_ran_nothing_does_not_pass() {
        assert!(!passes(&Found::default(), true));
    }
}
