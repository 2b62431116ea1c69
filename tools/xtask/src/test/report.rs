//! What each part found, and the last line.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

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

/// A part that may run beside others.
pub(super) struct Part<'a> {
    name: String,
    work: Box<dyn FnOnce() -> Result<Found> + Send + 'a>,
}

impl<'a> Part<'a> {
    /// The part `name`.
    pub(super) fn new(name: &str, work: impl FnOnce() -> Result<Found> + Send + 'a) -> Self {
        Self {
            name: name.to_owned(),
            work: Box::new(work),
        }
    }
}

/// The parts so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    total: Mutex<Found>,
}

impl Report {
    /// Runs a part and prints what it found and how long it took. An error in the part's own work
    /// is a failure under the part's name.
    pub(super) fn part(&self, name: &str, work: impl FnOnce() -> Result<Found>) {
        println!("== {name}");
        let start = Instant::now();
        let found = work().unwrap_or_else(|error| Found {
            failed: vec![(name.to_owned(), format!("{error:#}"))],
            ..Found::default()
        });
        // In one piece: other parts print, too.
        let mut text = String::new();
        for (name, why) in &found.failed {
            text.push_str(&format!("FAILED {name}\n"));
            text.extend(why.lines().map(|line| format!("    {line}\n")));
        }
        println!("{text}   {name}: {found} in {}", seconds(start.elapsed()));
        self.total().add(found);
    }

    /// Runs parts beside each other, as many at once as is said here, begun in their order.
    pub(super) fn parts(&self, parts: Vec<Part<'_>>, at_once: usize) {
        let waiting = Mutex::new(parts.into_iter());
        let next = || {
            waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next()
        };
        thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(|| {
                    while let Some(part) = next() {
                        self.part(&part.name, part.work);
                    }
                });
            }
        });
    }

    fn total(&self) -> MutexGuard<'_, Found> {
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints the failures again, by name, and the last line. Whether the gate passes.
    pub(super) fn end(&self, may_skip: bool) -> bool {
        let total = self.total();
        println!();
        for (name, _) in &total.failed {
            println!("FAILED {name}");
        }
        for name in &total.skipped {
            println!("skipped {name}");
        }
        println!("{total}");
        passes(&total, may_skip)
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_last_line_counts() {
        let report = Report::default();
        report.part("one", || {
            let mut found = Found::new();
            found.note("good", &[]);
            found.note("bad", &["a".to_owned(), "b".to_owned()]);
            Ok(found)
        });
        report.part("two", || anyhow::bail!("cannot start"));
        let total = report.total().to_string();
        assert_eq!(total, "1 passed, 2 failed, 0 skipped");
        let failed = [("bad", "a\nb"), ("two", "cannot start")];
        let failed = failed.map(|(name, why)| (name.to_owned(), why.to_owned()));
        assert_eq!(report.total().failed, failed);
        assert!(!report.end(true));
    }

    #[test]
    fn parts_run_beside_each_other_and_all_are_counted() {
        for at_once in [1, 2, 5] {
            let report = Report::default();
            let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let part = |n: usize| {
                let (running, most) = (&running, &most);
                Part::new(&format!("part {n}"), move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(20));
                    running.fetch_sub(1, Ordering::SeqCst);
                    anyhow::ensure!(n != 2, "cannot start");
                    Ok(Found {
                        passed: n,
                        ..Found::default()
                    })
                })
            };
            report.parts((0..4).map(part).collect(), at_once);
            assert!(most.load(Ordering::SeqCst) <= at_once);
            let total = report.total().to_string();
            assert_eq!(total, "4 passed, 1 failed, 0 skipped");
        }
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
