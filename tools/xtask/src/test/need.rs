//! What must be installed. The lab looks after its own needs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A file, and the Debian package that has it.
type Need = (&'static str, &'static str);

const NEEDS: [Need; 2] = [
    ("/usr/include/xen/xen.h", "libxen-dev"),
    ("/usr/bin/cc", "gcc"),
];
/// What only the long lane needs.
const NEEDS_FOR_LONG: [Need; 1] = [("/usr/bin/chromium", "chromium")];

/// Installs what is missing if this is root on a Debian; else says what to do.
pub(super) fn ensure(long: bool) -> Result<()> {
    let more = if long { &NEEDS_FOR_LONG[..] } else { &[] };
    let needs = [&NEEDS, more].concat();
    let missing = missing(&needs);
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root || !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "the tests need packages that are not installed. On Debian or Ubuntu:\n    \
             sudo apt-get update && sudo apt-get install {packages}\nElsewhere install what \
             brings {}, then try again.",
            needs
                .iter()
                .map(|(file, _)| *file)
                .collect::<Vec<_>>()
                .join(" and ")
        );
    }
    println!("installing {packages}");
    apt(["update"].map(OsStr::new).as_slice())?;
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(missing);
    apt(&words)
}

/// The packages of files that are not there.
fn missing(needs: &[Need]) -> Vec<&'static str> {
    needs
        .iter()
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|(_, package)| *package)
        .collect()
}

fn apt<W: AsRef<OsStr>>(words: &[W]) -> Result<()> {
    let mut command = Command::new("apt-get");
    let output = command
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .context("cannot start apt-get")?;
    if !output.status.success() {
        bail!(
            "apt-get failed:\n{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let needs = [
            ("/proc/self/status", "here"),
            ("/nonexistent/header.h", "not-here"),
        ];
        assert_eq!(missing(&needs), ["not-here"]);
    }
}
