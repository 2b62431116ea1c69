//! `cargo xtask run`: from nothing to Xenolith's console.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::nest::Choice;

/// Does it.
pub(crate) fn command(_nest: Choice, _tour: bool) -> Result<ExitCode> {
    bail!("this command is not written yet")
}
