//! The initrd of one nest: from the cache's busybox and modules, and this build's programs.

use crate::agent::PROGRAMS;
use crate::cpio::Archive;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

const FIRST: &[u8] = include_bytes!("dom0/initrd.sh");
const INIT: &[u8] = include_bytes!("dom0/init.sh");
const BLOCK: &[u8] = include_bytes!("dom0/block.sh");
const NETWORK: &[u8] = include_bytes!("dom0/network.sh");
const VIF: &[u8] = include_bytes!("dom0/vif.sh");

/// The bytes of an initrd for the dom0 prepared in `dom0`, that starts the agent among the
/// `programs`.
pub(crate) fn initrd(dom0: &Path, programs: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    for directory in ["bin", "dev", "lab", "modules", "proc", "root", "sys"] {
        archive.directory(directory);
    }
    archive.program("init", FIRST);
    archive.program("lab/init", INIT);
    archive.program("lab/block", BLOCK);
    archive.program("lab/network", NETWORK);
    archive.program("lab/vif", VIF);
    for program in PROGRAMS {
        archive.program(&format!("lab/{program}"), &read(&programs.join(program))?);
    }
    archive.program("bin/busybox", &read(&dom0.join("busybox"))?);
    let mut modules = fs::read_dir(dom0.join("modules"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    modules.sort();
    for module in modules {
        let content = read(&dom0.join("modules").join(&module))?;
        archive.program(&format!("modules/{module}"), &content);
    }
    Ok(archive.finish())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}
