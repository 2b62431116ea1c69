//! What a test program prints.

use std::time::Duration;

use super::program::Ended;
use super::report::Found;

/// What the test program `name` found.
pub(super) fn read(name: &str, ended: &Ended, limit: Duration) -> Found {
    let text = &ended.text;
    let Some(status) = ended.status else {
        let why = format!(
            "its {} s were up; it said:\n{}",
            limit.as_secs(),
            tail(text)
        );
        return crashed(name, &why);
    };
    let Some((passed, failed, ignored)) = counts(text) else {
        return crashed(name, &format!("it ended with {status}:\n{}", tail(text)));
    };
    let full = |test: &str| format!("{name}: {test}");
    let skipped = tests(text, "ignored").map(full).collect();
    let mut found = Found {
        passed,
        skipped,
        ..Found::default()
    };
    found.skipped.resize_with(ignored, || full("a test"));
    for test in tests(text, "FAILED") {
        found.failed.push((full(test), output_of(text, test)));
    }
    found
        .failed
        .resize_with(failed, || (full("a test"), tail(text)));
    if failed == 0 && !status.success() {
        found
            .failed
            .push((name.to_owned(), format!("it ended with {status}")));
    }
    found
}

/// The names of tests of which libtest says something that starts with `said`.
fn tests<'a>(text: &'a str, said: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let (test, what) = line.strip_prefix("test ")?.split_once(" ... ")?;
        what.starts_with(said).then_some(test)
    })
}

fn crashed(name: &str, why: &str) -> Found {
    Found {
        failed: vec![(name.to_owned(), why.to_owned())],
        ..Found::default()
    }
}

/// Passed, failed and ignored, from the last line `test result: ...`.
fn counts(text: &str) -> Option<(usize, usize, usize)> {
    let line = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("test result: "))?;
    let count = |what: &str| {
        let (before, _) = line.split_once(what)?;
        before
            .trim_end()
            .rsplit([' ', ';', '.'])
            .next()?
            .parse()
            .ok()
    };
    Some((count("passed")?, count("failed")?, count("ignored")?))
}

/// What libtest shows of a failed test.
fn output_of(text: &str, test: &str) -> String {
    let head = format!("---- {test} stdout ----");
    let Some((_, rest)) = text.split_once(&head) else {
        return String::new();
    };
    let end = rest
        .find("\n---- ")
        .or_else(|| rest.find("\nfailures:"))
        .unwrap_or(rest.len());
    rest[..end].trim().to_owned()
}

/// The last lines.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn read_text(text: &str, code: i32) -> Found {
        let status = Some(ExitStatus::from_raw(code << 8));
        read(
            "geom",
            &Ended {
                text: text.to_owned(),
                status,
            },
            LIMIT,
        )
    }

    #[test]
    fn passed_tests_are_counted() {
        let text = "running 2 tests\ntest a ... ok\ntest b ... ok\n\ntest result: ok. 2 passed; \
                    0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(
            read_text(text, 0),
            Found {
                passed: 2,
                ..Found::default()
            }
        );
    }

    #[test]
    fn failed_and_ignored_tests_are_named() {
        let text = "test disk::a ... FAILED\ntest b ... ignored, why\ntest c ... ok\n\n\
                    failures:\n\n---- disk::a stdout ----\n\nthread panicked: left != right\n\n\n\
                    failures:\n    disk::a\n\n\
                    test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured\n";
        let found = read_text(text, 101);
        assert_eq!(found.passed, 1);
        let why = "thread panicked: left != right".to_owned();
        assert_eq!(found.failed, [("geom: disk::a".to_owned(), why)]);
        assert_eq!(found.skipped, ["geom: b"]);
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let found = read_text("running 2 tests\ntest a ... ok\nstack overflow\n", 134);
        assert_eq!(found.failed.len(), 1);
        assert!(found.failed[0].1.contains("stack overflow"), "{found:?}");
        let good = "test result: ok. 2 passed; 0 failed; 0 ignored\n";
        assert_eq!(
            read_text(good, 1).failed.len(),
            1,
            "all passed, but the status says no"
        );
    }

    #[test]
    fn a_program_whose_time_was_up_is_a_failure() {
        let found = read(
            "geom",
            &Ended {
                text: String::new(),
                status: None,
            },
            LIMIT,
        );
        assert!(
            found.failed[0].1.starts_with("its 60 s were up"),
            "{found:?}"
        );
    }
}
