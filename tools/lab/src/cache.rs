//! What is prepared once: directories in the user's cache, made whole or not at all.

use anyhow::{Context, Result, bail};
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long an entry is kept that nobody uses.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where the lab keeps what it prepared: `$XDG_CACHE_HOME/xenolith/lab`, by default under
/// `~/.cache`.
pub(crate) fn root() -> Result<PathBuf> {
    root_from(
        env::var_os("XDG_CACHE_HOME").map(PathBuf::from),
        env::home_dir(),
    )
}

fn root_from(cache: Option<PathBuf>, home: Option<PathBuf>) -> Result<PathBuf> {
    // The XDG specification: a relative path is to be ignored.
    let cache = cache.filter(|path| path.is_absolute());
    let Some(cache) = cache.or_else(|| home.map(|home| home.join(".cache"))) else {
        bail!("no home directory: set XDG_CACHE_HOME to a directory with 2 GB of room");
    };
    Ok(cache.join("xenolith/lab"))
}

/// The directory `name` of the cache. If it is not there, `make` fills a new directory, which then
/// gets the name. Two processes that need the same one wait for each other.
pub(crate) fn entry(
    root: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let finished = root.join(name);
    if finished.is_dir() {
        // Remembered as its last use. A cache that cannot be written to serves as well.
        let _ = File::open(&finished).and_then(|used| used.set_modified(SystemTime::now()));
        return Ok(finished);
    }
    fs::create_dir_all(root).with_context(|| format!("making {}", root.display()))?;
    let lock = File::create(root.join(format!("{name}.lock")))?;
    if lock.try_lock().is_err() {
        eprintln!("lab: another process prepares {name}; waiting for it");
        lock.lock()?;
    }
    if finished.is_dir() {
        return Ok(finished);
    }
    let partial = root.join(format!("{name}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("removing {}", partial.display()))?;
    }
    fs::create_dir(&partial)?;
    make(&partial)?;
    fs::rename(&partial, &finished)?;
    prune(root);
    Ok(finished)
}

/// Removes what no checkout has used for a month: an older recipe's, most likely.
fn prune(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let used = entry.metadata().and_then(|metadata| metadata.modified());
        if used.is_ok_and(|used| used.elapsed().is_ok_and(|unused| unused > KEPT)) {
            // What cannot be removed only takes up room. Lock files are empty.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, entry, root_from};
    use crate::scratch::Scratch;
    use std::fs::{self, File};
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    #[test]
    fn the_cache_follows_xdg() {
        let home = || Some(PathBuf::from("/home/me"));
        let given = root_from(Some("/big/cache".into()), home()).unwrap();
        assert_eq!(given, PathBuf::from("/big/cache/xenolith/lab"));
        for ignored in [None, Some(PathBuf::from("relative")), Some(PathBuf::new())] {
            let default = root_from(ignored, home()).unwrap();
            assert_eq!(default, PathBuf::from("/home/me/.cache/xenolith/lab"));
        }
        assert!(
            root_from(None, None)
                .unwrap_err()
                .to_string()
                .contains("XDG_CACHE_HOME")
        );
    }

    #[test]
    fn an_entry_is_made_whole_once() {
        let scratch = Scratch::new().unwrap();
        let root = scratch.join("cache");
        let failed = entry(&root, "x", |partial| {
            fs::write(partial.join("half"), "")?;
            anyhow::bail!("no network")
        });
        assert!(failed.is_err());
        assert!(!root.join("x").exists());
        let made = entry(&root, "x", |partial| {
            assert!(
                !partial.join("half").exists(),
                "the failed attempt's files are gone"
            );
            Ok(fs::write(partial.join("whole"), "")?)
        });
        assert!(made.unwrap().join("whole").exists());
        let again = entry(&root, "x", |_| panic!("made twice"));
        assert_eq!(again.unwrap(), root.join("x"));
    }

    #[test]
    fn what_is_not_used_for_a_month_goes_when_something_new_comes() {
        let root = Scratch::new().unwrap();
        let long_ago = SystemTime::now() - KEPT - Duration::from_secs(60);
        for name in ["unused", "used"] {
            let directory = entry(root.path(), name, |_| Ok(())).unwrap();
            File::open(directory)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
        entry(root.path(), "used", |_| panic!("it is there")).unwrap();
        entry(root.path(), "new", |_| Ok(())).unwrap();
        let left = |name| fs::exists(root.join(name)).unwrap();
        assert!(!left("unused") && left("used") && left("new"));
    }
}
