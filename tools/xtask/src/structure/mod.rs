//! The house rules, as checks.

use anyhow::Result;

/// `cargo xtask check`.
pub(crate) fn command() -> Result<()> {
    Ok(())
}
