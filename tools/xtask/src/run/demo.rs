//! The disk and the guest that Xenolith is shown with.

use anyhow::Result;
use lab::network::{BRIDGE, Forward};
use lab::{Disk, Nest};

/// The guest's name.
pub(super) const GUEST: &str = "xenolith";
/// Its address on dom0's bridge.
pub(super) const ADDRESS: &str = "10.0.0.2";
/// Where its config stands in dom0.
pub(super) const CONFIG: &str = "/root/demo.cfg";

/// A disk of 64 MiB with two GPT partitions, the first of them full of random bytes.
pub(super) fn disk(nest: &Nest) -> Result<Disk> {
    let disk = Disk::new(nest, "demo", 64 << 20, 512)?;
    let path = disk.path();
    nest.check(&format!(
        "sgdisk -n 1:2048:+4M -c 1:stone -n 2:0:0 -c 2:sand {path} >/dev/null && \
         dd if=/dev/urandom of={path} bs=1M seek=1 count=4 conv=notrunc,fsync status=none"
    ))?;
    Ok(disk)
}

/// The guest's config.
pub(super) fn config(disk: &Disk) -> String {
    format!(
        "name = \"{GUEST}\"\ntype = \"pv\"\nkernel = \"/root/xenolith\"\nmemory = 32\n\
         disk = [\"{}\"]\nvif = [\"bridge={BRIDGE},script=/run/lab/vif\"]\n\
         cmdline = \"ip={ADDRESS}/24 page=80\"\n",
        disk.xl("xvda", "rw")
    )
}

/// Makes dom0's network, and the way to the guest's page.
pub(super) fn network(nest: &Nest) -> Result<Forward> {
    let forward = nest.forward(ADDRESS)?;
    println!("Its page, as long as it runs: {}", forward.url());
    Ok(forward)
}

/// Puts the guest's config into dom0.
pub(super) fn put_config(nest: &Nest, disk: &Disk) -> Result<()> {
    nest.put(CONFIG, config(disk).as_bytes())
}
