//! Booting the nests, running the tests, ending the ones that hang.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use anyhow::{Error, Result};
use lab::Nest;

use super::list::{GROUPS, Group, Lane, Test};
use crate::nest;
use crate::test::Options;
use crate::test::report::{Found, seconds};

/// A nest, and the tests that are asked for in it.
pub(crate) struct Wanted {
    group: &'static Group,
    tests: Vec<&'static Test>,
}

/// The nests that are asked for.
pub(crate) fn wanted(options: &Options) -> Vec<Wanted> {
    let asked = |test: &&Test| {
        let other = if options.long {
            Lane::Short
        } else {
            Lane::Long
        };
        test.lane != other && options.wants(test.name)
    };
    let nests = GROUPS.iter().map(|group| Wanted {
        group,
        tests: group.tests.iter().filter(asked).collect(),
    });
    nests.filter(|nest| !nest.tests.is_empty()).collect()
}

impl Wanted {
    /// What the nest is called.
    pub(crate) fn name(&self) -> &'static str {
        self.group.name
    }

    /// The names of the tests.
    pub(crate) fn tests(&self) -> impl Iterator<Item = String> {
        self.tests.iter().map(|test| test.name.to_owned())
    }

    /// Boots the nest and runs them.
    pub(crate) fn run(&self) -> Result<Found> {
        let options = lab::Options {
            shares: true,
            ..(self.group.options)()
        };
        let boot = |_: &Group| nest::boot(&options);
        Ok(run_group(self.group, &self.tests, boot, run_one))
    }
}

/// Runs a group's tests. A nest that does not boot fails all that are left, by name; one in which a
/// test failed is replaced, for what that left there. Generic, so that a test can do without nests.
fn run_group<N>(
    group: &Group,
    tests: &[&Test],
    boot: impl Fn(&Group) -> Result<N>,
    run_one: impl Fn(&N, &Test) -> Result<()>,
) -> Found {
    let mut found = Found::new();
    let mut nest = None;
    for (index, test) in tests.iter().enumerate() {
        let here = match nest.take().map_or_else(|| boot(group), Ok) {
            Ok(here) => here,
            Err(error) => {
                let why = format!("its nest ({}) did not boot: {error:#}", group.name);
                let left = &tests[index..];
                found
                    .failed
                    .extend(left.iter().map(|test| (test.name.to_owned(), why.clone())));
                return found;
            }
        };
        let start = Instant::now();
        let verdict = run_one(&here, test);
        let time = seconds(start.elapsed());
        match verdict {
            Ok(()) => {
                println!("   ok {} in {time}", test.name);
                found.passed += 1;
                nest = Some(here);
            }
            Err(error) => {
                println!("   FAILED {} in {time}", test.name);
                found
                    .failed
                    .push((test.name.to_owned(), format!("{error:#}")));
            }
        }
    }
    found
}

/// Runs one test; when its time is up its nest is ended, which ends every wait in it.
fn run_one(nest: &Nest, test: &Test) -> Result<()> {
    let (done, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let is_late = ended.recv_timeout(test.limit) == Err(RecvTimeoutError::Timeout);
            if is_late {
                nest.end();
            }
            is_late
        });
        let result = (test.run)(nest);
        drop(done);
        let is_late = watch.join().unwrap_or(true);
        if !is_late {
            return result;
        }
        let error = result.err().unwrap_or_else(|| Error::msg("late"));
        let limit = test.limit.as_secs();
        Err(error.context(format!(
            "it took more than its {limit} s, so its nest was ended"
        )))
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use anyhow::bail;

    use super::*;

    const fn test(name: &'static str) -> Test {
        Test {
            name,
            limit: Duration::from_secs(1),
            lane: Lane::Both,
            run: |_| Ok(()),
        }
    }

    const GROUP: Group = Group {
        name: "a nest",
        options: lab::Options::default,
        tests: &[test("one"), test("two"), test("three")],
    };

    fn all() -> Vec<&'static Test> {
        const { &GROUP }.tests.iter().collect()
    }

    #[test]
    fn names_are_unique() {
        let tests = GROUPS.iter().flat_map(|group| group.tests);
        let mut names: Vec<&str> = tests.map(|test| test.name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(
            names.iter().all(|name| name.starts_with("nested_")),
            "--filter nested"
        );
    }

    #[test]
    fn a_nest_that_does_not_boot_fails_all_of_its_tests_by_name() {
        let found = run_group::<()>(&GROUP, &all(), |_| bail!("no QEMU"), |_, _| Ok(()));
        let names: Vec<&str> = found.failed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, found.passed), (vec!["one", "two", "three"], 0));
        assert!(found.failed[2].1.contains("did not boot: no QEMU"));
    }

    #[test]
    fn after_a_failed_test_the_next_has_a_new_nest() {
        let boots = Cell::new(0);
        let boot = |_: &Group| {
            boots.set(boots.get() + 1);
            Ok(())
        };
        let run = |(): &(), test: &Test| match test.name {
            "one" => bail!("wrong sum"),
            _ => Ok(()),
        };
        let found = run_group(&GROUP, &all(), boot, run);
        assert_eq!(found.to_string(), "2 passed, 1 failed, 0 skipped");
        assert_eq!(boots.get(), 2);
    }
}
