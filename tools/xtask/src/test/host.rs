//! The tests that run here: each test program of the workspace, run by itself with a time limit.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::report::{Found, seconds};
use super::{Options, libtest, program};
use crate::cargo::Cargo;

/// What one test program may take.
const LIMIT: Duration = Duration::from_secs(300);
/// And with `--long`.
const LONG_LIMIT: Duration = Duration::from_secs(3600);

/// A test program.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    /// What it is called here: the crate, and the test's file if it is one of `tests/`.
    name: String,
    /// The program.
    path: PathBuf,
    /// The crate's folder, where cargo would run it.
    folder: PathBuf,
}

/// Builds and runs the tests.
pub(super) fn run(options: &Options) -> Result<Found> {
    let messages = Cargo::new("test")
        .args(["--no-run", "--message-format", "json-render-diagnostics"])
        .standard_output()
        .context("the tests do not compile")?;
    let programs = programs(&messages)?;
    if programs.is_empty() {
        bail!("cargo built no test program");
    }
    let mut total = Found::new();
    for program in &programs {
        let start = Instant::now();
        let found = run_one(program, options)?;
        if found != Found::default() {
            println!(
                "   {}: {found} in {}",
                program.name,
                seconds(start.elapsed())
            );
        }
        total.add(found);
    }
    let examples = Cargo::new("test")
        .args(["--doc"])
        .args(&options.filter)
        .output()?;
    let found = examples_found(&examples.text, examples.success);
    println!("   examples in documentation: {found}");
    total.add(found);
    Ok(total)
}

/// What a program found.
fn run_one(program: &Program, options: &Options) -> Result<Found> {
    let limit = if options.long { LONG_LIMIT } else { LIMIT };
    let ended = program::run(&command(program, options), limit)?;
    Ok(libtest::read(&program.name, &ended, limit))
}

/// The program, as cargo would run it.
fn command(program: &Program, options: &Options) -> Command {
    let mut command = Command::new(&program.path);
    command.args(&options.filter).current_dir(&program.folder);
    command.env("CARGO_MANIFEST_DIR", &program.folder);
    if options.long {
        command.env("XENOLITH_LONG", "1");
    }
    command
}

/// The test programs in cargo's messages.
fn programs(messages: &str) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("cargo said something odd")?;
        let is_test = message["profile"]["test"].as_bool() == Some(true);
        if let (true, Some(path)) = (is_test, message["executable"].as_str()) {
            let manifest = message["manifest_path"]
                .as_str()
                .context("no manifest_path")?;
            let folder = Path::new(manifest).parent().context("no folder")?;
            let crate_name = folder.file_name().context("no name")?.to_string_lossy();
            let target = message["target"]["name"].as_str().context("no target")?;
            let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
            let name = match kind {
                "lib" => crate_name.into_owned(),
                _ => format!("{crate_name}/{target}"),
            };
            programs.push(Program {
                name,
                path: path.into(),
                folder: folder.to_owned(),
            });
        }
    }
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(programs)
}

/// What `cargo test --doc` found: one summary for each crate.
fn examples_found(text: &str, success: bool) -> Found {
    let mut found = Found::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("test ")
            && let Some((name, said)) = rest.rsplit_once(" ... ")
        {
            match said {
                "ok" => found.passed += 1,
                "ignored" => found.skipped.push(name.to_owned()),
                _ => found.failed.push((name.to_owned(), String::new())),
            }
        }
    }
    if !success && found.failed.is_empty() {
        found
            .failed
            .push(("examples in documentation".to_owned(), text.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_found_among_cargos_messages() {
        let messages = [
            r#"{"reason":"compiler-artifact","manifest_path":"/p/kernel/abi/Cargo.toml","#,
            r#""target":{"name":"headers","kind":["test"]},"profile":{"test":true},"#,
            r#""executable":"/t/headers-1"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/p/kernel/abi/Cargo.toml","#,
            r#""target":{"name":"xen_abi","kind":["lib"]},"profile":{"test":false},"#,
            r#""executable":null}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        ];
        let program = Program {
            name: "abi/headers".to_owned(),
            path: "/t/headers-1".into(),
            folder: "/p/kernel/abi".into(),
        };
        assert_eq!(programs(&messages.concat()).unwrap(), [program]);
        assert!(programs("nonsense").is_err());
    }

    #[test]
    fn examples_are_counted_crate_by_crate() {
        let text = "test a.rs - f (line 3) ... ok\n\ntest b.rs - g (line 9) ... FAILED\n";
        let found = examples_found(text, false);
        assert_eq!(found.to_string(), "1 passed, 1 failed, 0 skipped");
        assert_eq!(examples_found("error: no", false).failed.len(), 1);
    }
}
