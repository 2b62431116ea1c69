//! A Linux guest as the client.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::Nest;
use lab::guest::Reason;

use super::attached::{Attached, start};
use crate::test::nested::linux;

/// Where dom0 has the guest's kernel and initrd.
const FOLDER: &str = "/root/client";
const MODULES: &str = "crc32c_generic xen-blkfront ext4";
/// How long the guest may take to boot, to write and to end.
const GUEST: Duration = Duration::from_secs(300);

/// A Linux guest with its disk from the driver domain writes files to the ext4 there, and ends;
/// dom0 finds the file system clean and every file with the sum that the guest had.
pub(in crate::test::nested) fn a_linux_guests_files_are_there(
    nest: &Nest,
    files: u32,
) -> Result<()> {
    linux::prepare(nest, FOLDER, include_bytes!("client.sh"), MODULES)?;
    let guest = start(nest, &[])?;
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    nest.check(&format!("mkfs.ext4 -q -N 4096 {}", attached.path()))?;
    attached.detach(false)?;

    let config = format!(
        "type = \"pv\"\nkernel = \"{FOLDER}/kernel\"\nramdisk = \"{FOLDER}/initrd\"\n\
         memory = 256\nvcpus = 1\ncmdline = \"console=hvc0 quiet FILES={files}\"\n\
         disk = [\"format=raw,vdev=xvda,access=rw,backend=storage,target=md0\"]\n"
    );
    let mut client = nest.create_guest("client", &config)?;
    client.wait_for("CLIENT-DONE", GUEST)?;
    let reason = client.wait_shutdown(GUEST)?;
    ensure!(reason == Reason::Poweroff, "the client ended by {reason:?}");
    client.wait_gone(GUEST)?;

    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    let path = attached.path();
    nest.check(&format!(
        "set -e; fsck.ext4 -fn {path} >/dev/null; mkdir -p /mnt; mount -o ro {path} /mnt; \
         cd /mnt; test $(wc -l < sums) = {files}; sha256sum --quiet -c sums; cd /; umount /mnt"
    ))?;
    attached.detach(false)?;
    guest.destroy()?;
    nest.check(&format!("rm -r {FOLDER}"))?;
    Ok(())
}
