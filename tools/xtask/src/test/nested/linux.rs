//! A Linux guest: dom0's own kernel, and a program of the test's as its first and only one.

use anyhow::Result;
use lab::Nest;

/// Puts `kernel` and `initrd` into `folder` of dom0: busybox, these modules, and `init`, a script
/// that busybox reads.
pub(super) fn prepare(nest: &Nest, folder: &str, init: &[u8], modules: &str) -> Result<()> {
    nest.check(&format!("mkdir -p {folder}"))?;
    nest.put(&format!("{folder}/init"), init)?;
    nest.put(&format!("{folder}/initrd.sh"), include_bytes!("initrd.sh"))?;
    nest.check(&format!("bash {folder}/initrd.sh {folder} {modules}"))?;
    Ok(())
}
