//! Programs of the host that preparing needs.

use crate::progress::step;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Program and Debian package.
const NEEDED: [(&str, &str); 4] = [
    ("mmdebstrap", "mmdebstrap"),
    ("mke2fs", "e2fsprogs"),
    ("gunzip", "gzip"),
    ("tar", "tar"),
];

/// The host's search path; system programs are on it for an ordinary user, too.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

/// Where the host has `program`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    // The owner of a process's own directory in /proc is its effective user.
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Makes sure that the programs for preparing are there: installs them when this process may,
/// else says what to install.
pub(crate) fn ensure() -> Result<()> {
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, p)| *p)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || find("apt-get").is_none() {
        bail!(
            "the lab is prepared with programs that are missing here. Install them, then try \
             again:\n    sudo apt-get update && sudo apt-get install {}\n(mmdebstrap is packaged \
             by other distributions, too; it also needs Debian's archive keys.)",
            missing.join(" ")
        );
    }
    step(&format!("installing {}", missing.join(" ")), || {
        run(Command::new("apt-get").args(["update"]))?;
        run(Command::new("apt-get")
            .args([
                "install",
                "--yes",
                "--no-install-recommends",
                "debian-archive-keyring",
            ])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"))
    })
}

/// Runs a program of the host to its end. Its output is part of the error if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said.lines().collect();
        let last = &lines[lines.len().saturating_sub(30)..];
        bail!("{name}: {}\n{}", output.status, last.join("\n"));
    }
    Ok(())
}
