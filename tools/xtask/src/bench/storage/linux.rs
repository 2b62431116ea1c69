//! Linux as a storage driver domain.

use anyhow::Result;
use lab::Nest;

use super::contender::LINUX_FOLDER;

/// Makes its kernel and initrd of what dom0 has, with these `modules` beside those it always needs.
pub(super) fn prepare(nest: &Nest, modules: &str) -> Result<()> {
    nest.check(&format!("mkdir -p {LINUX_FOLDER}"))?;
    nest.put(&format!("{LINUX_FOLDER}/init"), include_bytes!("init.sh"))?;
    nest.put("/root/bench/linux.sh", include_bytes!("linux.sh"))?;
    nest.check(&format!("/root/bench/linux.sh {LINUX_FOLDER} {modules}"))?;
    Ok(())
}
