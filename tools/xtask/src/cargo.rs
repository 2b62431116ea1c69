//! Running cargo.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::project;

/// A cargo command under construction. It runs in the project's folder.
pub(crate) struct Cargo {
    command: Command,
    subcommand: String,
}

/// What a command printed, and whether it succeeded.
pub(crate) struct Output {
    /// Standard output, then standard error.
    pub text: String,
    /// Whether its status was 0.
    pub success: bool,
}

impl Cargo {
    /// `cargo SUBCOMMAND`, with the cargo that started xtask.
    pub(crate) fn new(subcommand: &str) -> Self {
        let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(program);
        command
            .arg(subcommand)
            .current_dir(project::root())
            .stdin(Stdio::null());
        // The package that cargo runs xtask for is no business of the commands xtask runs.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PKG_") {
                command.env_remove(name);
            }
        }
        command
            .env_remove("CARGO_MANIFEST_DIR")
            .env_remove("CARGO_MANIFEST_PATH");
        Self {
            command,
            subcommand: subcommand.to_owned(),
        }
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Unsets a variable.
    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it; what it prints is shown.
    pub(crate) fn run(mut self) -> Result<()> {
        let status = self.command.status().context("cannot start cargo")?;
        if !status.success() {
            bail!("`cargo {}` failed: see above", self.subcommand);
        }
        Ok(())
    }

    /// Runs it and returns its standard output.
    pub(crate) fn standard_output(mut self) -> Result<String> {
        let output = self.command.output().context("cannot start cargo")?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            bail!("`cargo {}` failed: {}", self.subcommand, reason.trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs it and collects what it prints.
    pub(crate) fn output(mut self) -> Result<Output> {
        let output = self.command.output().context("cannot start cargo")?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Output {
            text,
            success: output.status.success(),
        })
    }
}
