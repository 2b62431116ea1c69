//! Cargo's part, then the two files it leaves.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::check::{CHECKS, Finished};
use super::elf::Elf;
use super::{names, strip};
use crate::cargo;
use crate::project;

/// What the image is compiled with. Xen pushes frames right below the stack pointer, so nothing
/// may be kept there; frame pointers make backtraces; every CPU that runs Xen today is a v2.
/// Inlining at its usual threshold of 225 makes the image a fifth larger, and larger than it may
/// be; what is marked `#[inline]`, on the way of each request above all, is worth more than its
/// usual 325.
const FLAGS: &str = "-Cno-redzone=yes -Cforce-frame-pointers=yes -Ctarget-cpu=x86-64-v2 \
                     -Cllvm-args=-inline-threshold=100 -Cllvm-args=-inlinehint-threshold=800";

/// The host's own triple, named so that the flags above do not reach build scripts.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where things lie in the project.
pub(crate) struct Paths {
    /// The file that Xen loads.
    pub image: PathBuf,
    /// The linked file, with symbols and line tables.
    pub debug: PathBuf,
}

/// Which image.
#[derive(Clone, Copy)]
enum Which<'name> {
    /// The one without an application.
    Plain,
    /// The one of an example of `boot`'s.
    Example(&'name str),
}

impl<'name> Which<'name> {
    /// What its file is called, and where cargo puts it.
    fn name_and_folder(self) -> (&'name str, &'static str) {
        match self {
            Self::Plain => ("xenolith", "image"),
            Self::Example(name) => (name, "image/examples"),
        }
    }
}

/// Where the build leaves the two files of the image without an application.
pub(crate) fn paths() -> Paths {
    paths_of(Which::Plain)
}

fn paths_of(which: Which<'_>) -> Paths {
    let folder = project::root().join("target/xenolith");
    let (name, _) = which.name_and_folder();
    Paths {
        image: folder.join(name),
        debug: folder.join(format!("{name}.debug")),
    }
}

/// Cargo with the image's flags and target directory, the subcommand yet to be named.
pub(crate) fn cargo_for_image(subcommand: &str) -> cargo::Cargo {
    cargo::Cargo::new(subcommand)
        .env("CARGO_TARGET_DIR", project::root().join("target/image"))
        .env("RUSTFLAGS", FLAGS)
        .without_env("CARGO_ENCODED_RUSTFLAGS")
        .args(["--target", TARGET, "--profile", "image"])
}

/// Builds the image without an application and its debug file, without looking at them.
pub(crate) fn build() -> Result<Paths> {
    build_of(Which::Plain)
}

fn build_of(which: Which<'_>) -> Result<Paths> {
    let cargo = cargo_for_image("build").args(["--package", "boot"]);
    match which {
        Which::Plain => cargo.run()?,
        Which::Example(name) => cargo.args(["--example", name]).run()?,
    }
    let (name, folder) = which.name_and_folder();
    let target = project::root().join("target/image").join(TARGET);
    let linked = target.join(folder).join(name);
    let mut bytes =
        fs::read(&linked).with_context(|| format!("cannot read {}", linked.display()))?;
    let elf = Elf::parse(&bytes)?;
    names::fill(&elf, &mut bytes)?;
    let image = strip::write(&Elf::parse(&bytes)?);
    let paths = paths_of(which);
    for (path, content) in [(&paths.image, &image), (&paths.debug, &bytes)] {
        write(path, content)?;
    }
    Ok(paths)
}

/// Writes a file whole: a reader finds the old or the new one.
fn write(path: &PathBuf, content: &[u8]) -> Result<()> {
    let folder = path.parent().context("no parent folder")?;
    let fresh = path.with_extension("new");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&fresh, content))
        .and_then(|()| fs::rename(&fresh, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// What is wrong with the finished files, by check.
pub(crate) fn check(paths: &Paths) -> Result<Vec<(&'static str, Vec<String>)>> {
    let read = |path: &PathBuf| {
        fs::read(path).with_context(|| {
            format!(
                "cannot read {}: run `cargo xtask build` first",
                path.display()
            )
        })
    };
    let finished = Finished::parse(read(&paths.image)?, &read(&paths.debug)?)?;
    Ok(CHECKS
        .iter()
        .map(|check| (check.name, (check.run)(&finished)))
        .collect())
}

/// `cargo xtask build`: builds, checks, says what there is.
pub(crate) fn command() -> Result<()> {
    command_of(Which::Plain)
}

/// Builds an example's image, without looking at it; where it is.
pub(crate) fn example(name: &str) -> Result<PathBuf> {
    Ok(build_of(Which::Example(name))?.image)
}

/// `cargo xtask image --example NAME`: the same for that.
pub(crate) fn command_for_example(name: &str) -> Result<()> {
    command_of(Which::Example(name))
}

fn command_of(which: Which<'_>) -> Result<()> {
    let paths = build_of(which)?;
    let mut bad = 0;
    for (name, problems) in check(&paths)? {
        for problem in &problems {
            eprintln!("error: {name}: {problem}");
        }
        bad += usize::from(!problems.is_empty());
    }
    if bad > 0 {
        bail!("{bad} of {} checks of the image failed", CHECKS.len());
    }
    let size = fs::metadata(&paths.image)?.len();
    println!(
        "{}  {} KiB, {} checks passed",
        paths.image.display(),
        size / 1024,
        CHECKS.len()
    );
    println!(
        "{}  symbols and lines, for `cargo xtask symbolize`",
        paths.debug.display()
    );
    Ok(())
}
