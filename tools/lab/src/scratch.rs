//! Working directories that do not outlive their process for long.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "xenolith-lab-";

/// A new empty directory in the system's place for temporary files; removed with the value. Those
/// of processes that were killed are removed by the next process that needs one.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let temporary = std::env::temp_dir();
        sweep(&temporary);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = temporary.join(format!("{PREFIX}{}-{number}", process::id()));
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("lab: {} is left behind: {error}", self.0.display());
        }
    }
}

fn sweep(temporary: &Path) {
    for entry in fs::read_dir(temporary).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name
            .to_str()
            .and_then(owner)
            .is_some_and(|process| !is_alive(process))
        {
            // Another user's: theirs to remove.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that made a directory of this name.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

fn is_alive(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::{PREFIX, Scratch, owner, sweep};
    use std::fs;

    #[test]
    fn a_directory_goes_with_its_value_or_after_its_process() {
        let scratch = Scratch::new().unwrap();
        let inner = scratch.path().to_owned();
        // No process has this id: it is above Linux's largest.
        let dead = inner.join(format!("{PREFIX}4194305-0"));
        let alive = inner.join(format!("{PREFIX}{}-99", std::process::id()));
        let foreign = inner.join("something-else");
        for directory in [&dead, &alive, &foreign] {
            fs::create_dir(directory).unwrap();
        }
        sweep(&inner);
        assert!(!dead.exists() && alive.exists() && foreign.exists());
        drop(scratch);
        assert!(!inner.exists());
    }

    #[test]
    fn only_names_of_this_form_have_an_owner() {
        assert_eq!(owner("xenolith-lab-12-0"), Some(12));
        for other in [
            "xenolith-lab-",
            "xenolith-lab-12",
            "xenolith-lab-x-0",
            "lab-12-0",
        ] {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
