//! Builds the programs that go into dom0, statically linked.

use anyhow::{Context, Result, bail};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The programs by name: the agent's, and a block backend and a block frontend for tests.
pub(crate) const PROGRAMS: [&str; 3] = ["agent", "backend", "frontend"];

/// The directory with the [`PROGRAMS`], built if need be.
pub(crate) fn programs() -> Result<PathBuf> {
    let workspace = workspace()?;
    // A directory of its own: this runs inside `cargo test`, which may hold the usual one.
    let built = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from)
        .join("dom0");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package=dom0", "--package=reattach"])
        .args(["--bins", "--release"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&built)
        .current_dir(&workspace)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .stdin(Stdio::null())
        .output()
        .context("starting cargo to build the programs for dom0")?;
    if !output.status.success() {
        bail!(
            "building the programs for dom0:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(built.join(TARGET).join("release"))
}

/// The bytes of a program for dom0 that not every nest has: `name` is that of its file in
/// `tools/dom0/src/bin`, or `reattach`.
///
/// # Errors
/// If it does not build.
pub fn program(name: &str) -> Result<Vec<u8>> {
    let path = programs()?.join(name);
    std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
}

/// The top of the checkout that this crate was built from.
pub(crate) fn workspace() -> Result<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let Some(workspace) = tools.and_then(Path::parent) else {
        bail!("{} is not in a workspace", env!("CARGO_MANIFEST_DIR"));
    };
    Ok(workspace.to_owned())
}
