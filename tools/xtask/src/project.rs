//! Where the project is.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the workspace's Cargo.toml. Cargo tells where xtask's own is; a program started
/// without cargo falls back on where it was compiled.
pub(crate) fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.ancestors()
        .nth(2)
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
}
