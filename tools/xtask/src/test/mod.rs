//! The gate.

use std::process::ExitCode;

use anyhow::Result;
use lexopt::Parser;
use lexopt::prelude::{Long, Short, ValueExt as _};

/// How the gate is run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Also what takes long.
    pub long: bool,
    /// Nothing that needs the nest.
    pub host_only: bool,
    /// Only tests whose name contains this.
    pub filter: Option<String>,
}

/// What `--help` prints.
pub(crate) const HELP: &str = "\
cargo xtask test [--long] [--host-only] [--filter TEXT]
";

impl Options {
    /// Reads the options; `None` if help is wanted.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>> {
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Long("long") => options.long = true,
                Long("host-only") => options.host_only = true,
                Long("filter") => options.filter = Some(parser.value()?.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Some(options))
    }
}

/// `cargo xtask test`.
pub(crate) fn command(_options: &Options) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
