//! How the gate is run.

use anyhow::Result;
use lexopt::Parser;
use lexopt::prelude::{Long, Short, ValueExt as _};

/// How the gate is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

The gate: formatting, clippy, documentation, tests on the host, the image and its checks, the
structure, then the image in nested Xen. The last line is `N passed, N failed, N skipped`. The
status is 0 if nothing failed; a test that skips itself counts as a failure here.

  --long         also the tests that take long (XENOLITH_LONG is set for those on the host)
  --host-only    nothing in nested Xen; what is left out is counted as skipped
  --filter TEXT  only tests whose name contains TEXT
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

    /// Whether a test of this name is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|text| name.contains(text))
    }
}
