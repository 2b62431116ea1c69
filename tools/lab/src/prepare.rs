//! Makes a dom0 and brings a QEMU along, both with mmdebstrap, both kept in the cache.

use crate::progress::step;
use crate::scratch::Scratch;
use crate::suite::Suite;
use crate::{cache, recipe, tool};
use anyhow::Result;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory with a prepared dom0; see `dom0/finish.sh` for what is in it.
pub(crate) fn dom0(suite: Suite) -> Result<PathBuf> {
    cache::entry(&cache::root()?, &recipe::dom0_name(suite), |to| {
        tool::ensure()?;
        let what = format!("making dom0 (Debian {}, Xen {})", suite.name(), suite.xen());
        step(&what, || make_dom0(suite, to))
    })
}

/// The directory with an unpacked QEMU, to be run by its own loader.
pub(crate) fn qemu() -> Result<PathBuf> {
    cache::entry(&cache::root()?, &recipe::qemu_name(), |to| {
        tool::ensure()?;
        step("bringing QEMU along", || {
            let hooks = Hooks::new()?;
            let archive = hooks.stage.join("qemu.tar");
            let mut command = mmdebstrap(&hooks, &recipe::QEMU.map(str::to_owned));
            tool::run(
                command
                    .arg("--format=tar")
                    .arg(Suite::Trixie.name())
                    .arg(&archive),
            )?;
            let mut unpack = Command::new("tar");
            unpack.args(["--extract", "--no-same-owner", "--exclude=./dev", "--file"]);
            tool::run(unpack.arg(&archive).arg("--directory").arg(to).args([
                "./usr/bin/qemu-system-x86_64",
                "./usr/lib/x86_64-linux-gnu",
                "./usr/share/qemu",
                "./usr/share/seabios",
            ]))
        })
    })
}

fn make_dom0(suite: Suite, to: &Path) -> Result<()> {
    let hooks = Hooks::new()?;
    let stage = hooks.stage.join("out");
    fs::create_dir(&stage)?;
    // In a user namespace the hook runs as somebody else.
    fs::set_permissions(&stage, Permissions::from_mode(0o777))?;
    let finish = hooks.write("finish.sh", recipe::FINISH)?;
    let mut command = mmdebstrap(&hooks, &recipe::dom0_packages(suite));
    let hook = format!("sh {} \"$1\" {}", finish.display(), stage.display());
    command.arg(format!("--extract-hook={hook}"));
    tool::run(command.arg("--format=null").arg(suite.name()).arg("-"))?;
    let mut copy = Command::new("cp");
    tool::run(
        copy.args(["--recursive", "--sparse=always"])
            .arg(stage.join("."))
            .arg(to),
    )
}

/// mmdebstrap with what all its runs have in common: packages are unpacked, not configured.
fn mmdebstrap(hooks: &Hooks, packages: &[String]) -> Command {
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--variant=extract", "--quiet"])
        .arg(format!("--include={}", packages.join(",")))
        .arg(format!("--setup-hook=sh {} \"$1\"", hooks.layout.display()))
        .env("TMPDIR", hooks.stage.path())
        .env("SOURCE_DATE_EPOCH", "0");
    command
}

/// The scripts for mmdebstrap, in a directory that every user may enter: without root's rights,
/// mmdebstrap runs them as another user.
struct Hooks {
    stage: Scratch,
    layout: PathBuf,
}

impl Hooks {
    fn new() -> Result<Self> {
        let stage = Scratch::new()?;
        fs::set_permissions(stage.path(), Permissions::from_mode(0o1777))?;
        let mut hooks = Self {
            stage,
            layout: PathBuf::new(),
        };
        hooks.layout = hooks.write("layout.sh", recipe::LAYOUT)?;
        Ok(hooks)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.stage.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(0o644))?;
        Ok(path)
    }
}
