//! NVMe controllers of QEMU's behind an IOMMU, which dom0 can pass through.

use std::fs::File;

use anyhow::{Context, Result};
use lab::Nest;

use crate::project;

/// QEMU's arguments for `count` controllers with a disk of `bytes` each, which is empty each time.
/// Without remapping of interrupts: with it Xen loses them.
pub(crate) fn arguments(count: usize, bytes: u64) -> Result<Vec<String>> {
    let mut arguments = vec!["-device".to_owned(), "intel-iommu,intremap=off".to_owned()];
    for number in 0..count {
        let path = project::root().join(format!("target/xenolith/nvme{number}.raw"));
        File::create(&path)
            .and_then(|file| file.set_len(bytes))
            .with_context(|| format!("cannot make {}", path.display()))?;
        let file = path.display();
        arguments.extend([
            "-drive".to_owned(),
            format!("if=none,id=nvme{number},format=raw,snapshot=on,file={file}"),
            "-device".to_owned(),
            format!("nvme,drive=nvme{number},serial=lab{number}"),
        ]);
    }
    Ok(arguments)
}

/// Where dom0 has its controllers: `0000:00:06.0`.
pub(crate) fn controllers(nest: &Nest) -> Result<Vec<String>> {
    let found = nest.check(
        "for device in /sys/bus/pci/devices/*; do \
         [ $(cat $device/class) != 0x010802 ] || basename $device; done",
    )?;
    Ok(found.lines().map(str::to_owned).collect())
}
