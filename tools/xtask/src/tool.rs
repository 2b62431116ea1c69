//! `cargo xtask tool`: the program for a dom0.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result};

use crate::project;

/// Its name.
const NAME: &str = "reattach";

/// Builds it, and leaves it beside the image.
pub(crate) fn command() -> Result<()> {
    let bytes = lab::program(NAME)?;
    let folder = project::root().join("target/xenolith");
    let path = folder.join(NAME);
    // Whole or not at all.
    let fresh = path.with_extension("new");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&fresh, &bytes))
        .and_then(|()| fs::set_permissions(&fresh, Permissions::from_mode(0o755)))
        .and_then(|()| fs::rename(&fresh, &path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}  {} KiB, static", path.display(), bytes.len() / 1024);
    Ok(())
}
