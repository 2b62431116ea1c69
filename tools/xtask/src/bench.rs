//! `cargo xtask bench boot`: how fast it boots, beside its peers.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::nest::Choice;

/// Does it.
pub(crate) fn command(_nest: Choice) -> Result<ExitCode> {
    bail!("this command is not written yet")
}
