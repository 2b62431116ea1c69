//! ext4 on an export, with trees of files.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::Nest;

use super::attached::{Attached, start};

/// How long a tree may take to be written and read.
const TREE: Duration = Duration::from_secs(900);

/// dom0 makes a file system on an export, writes `files` files from a seed, unmounts, checks it,
/// and finds every byte again; TRIM reaches the memory disk.
pub(in crate::test::nested) fn a_tree_survives(nest: &Nest, files: u32) -> Result<()> {
    let guest = start(nest, &[])?;
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    let path = attached.path();
    let write = format!(
        "set -e; mkfs.ext4 -q -N {} {path}; mkdir -p /mnt; mount {path} /mnt; cd /mnt; \
         for d in $(seq 0 $(({files} / 100))); do mkdir -p $d; done; \
         python3 - {files} <<'E'\n{TREE_OF_FILES}\nE\n\
         find . -type f -print0 | sort -z | xargs -0 sha256sum > /root/before; \
         cd /; umount /mnt; fsck.ext4 -fn {path} >/dev/null",
        files + 500
    );
    let said = nest.run_for(&write, TREE)?;
    ensure!(said.success(), "writing: {said}");
    // Anew, so that nothing comes from dom0's memory.
    attached.detach(false)?;
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    let read = format!(
        "set -e; mount {path} /mnt; cd /mnt; test $(wc -l < /root/before) -ge {files}; \
         sha256sum --quiet -c /root/before; fstrim -v /mnt; cd /; umount /mnt; \
         fsck.ext4 -fn {path} >/dev/null"
    );
    let said = nest.run_for(&read, TREE)?;
    ensure!(said.success(), "reading: {said}");
    attached.detach(false)?;
    guest.destroy()
}

/// Writes files of 0 to about 2 KiB from a seed.
const TREE_OF_FILES: &str = "\
import random, sys
count = int(sys.argv[1])
random.seed(77)
for number in range(count):
    with open(f'{number // 100}/{number}', 'wb') as file:
        file.write(random.randbytes(random.randrange(2048)))
";
