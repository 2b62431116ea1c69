//! Disks that dom0 partitioned. Where their partitions are, dom0's sfdisk says.

use anyhow::{Context, Result, bail};
use lab::{Disk, Nest};
use serde_json::Value;

pub(super) const MIB: u64 = 1 << 20;

/// The size of these disks: sums take long in emulation.
const SIZE: u64 = 8 * MIB;

/// A partition: its number, and its bytes.
pub(super) struct Part {
    pub number: u32,
    pub offset: u64,
    pub length: u64,
    /// Whether it only holds others.
    pub is_extended: bool,
}

/// A disk with a GPT of two partitions by sgdisk, the first with a file system.
pub(super) fn gpt(nest: &Nest, name: &str, sector: u64) -> Result<Disk> {
    let disk = Disk::new(nest, name, SIZE, sector)?;
    randomize(nest, &disk)?;
    let path = disk.path();
    nest.check(&format!(
        "sgdisk --clear -n 1:0:+2M -t 1:8300 -n 2:0:0 -t 2:8301 {path}"
    ))?;
    ext4(nest, &disk)?;
    Ok(disk)
}

/// A disk with an MBR by sfdisk: two primary partitions, the first with a file system, and an
/// extended one with two more. Its `name` may not end in a digit.
pub(super) fn mbr(nest: &Nest, name: &str, sector: u64) -> Result<Disk> {
    let disk = Disk::new(nest, name, SIZE, sector)?;
    randomize(nest, &disk)?;
    let path = disk.path();
    let mib = |mib: u64| mib * MIB / sector;
    let script = [
        "label: dos".to_owned(),
        format!("{path}1 : start={}, size={}, type=83", mib(1), mib(2)),
        format!("{path}2 : start={}, size={}, type=da", mib(3), mib(1)),
        format!("{path}3 : start={}, size={}, type=5", mib(4), mib(4)),
        format!("{path}5 : start={}, size={}, type=83", mib(5), mib(1)),
        format!("{path}6 : start={}, size={}, type=82", mib(7), mib(1)),
    ];
    let script = script.join("\\n");
    nest.check(&format!(
        "printf '{script}\\n' | sfdisk --wipe never --no-reread {path}"
    ))?;
    ext4(nest, &disk)?;
    Ok(disk)
}

/// Makes a file system with a file in it on the first partition.
fn ext4(nest: &Nest, disk: &Disk) -> Result<()> {
    let parts = parts(nest, disk)?;
    let Some(Part { offset, length, .. }) = parts.first() else {
        bail!("{}: no partition", disk.path());
    };
    nest.check(&format!(
        "part=$(losetup --find --show --offset {offset} --sizelimit {length} {path}) && \
         mkfs.ext4 -q -d /root/xl-configs $part && losetup --detach $part && sync",
        path = disk.path()
    ))?;
    Ok(())
}

/// The partitions, as sfdisk reads them.
pub(super) fn parts(nest: &Nest, disk: &Disk) -> Result<Vec<Part>> {
    let path = disk.path();
    let said = nest.check(&format!(
        "blockdev --flushbufs {path}; sfdisk --json {path}"
    ))?;
    let table: Value = serde_json::from_str(&said).context(said)?;
    let table = &table["partitiontable"];
    let sector = table["sectorsize"].as_u64().context("no sectorsize")?;
    let list = table["partitions"].as_array().context("no partitions")?;
    let parts = list.iter().map(|part| {
        let node = part["node"].as_str()?.strip_prefix(&path)?;
        Some(Part {
            number: node
                .trim_start_matches(|c: char| !c.is_ascii_digit())
                .parse()
                .ok()?,
            offset: part["start"].as_u64()? * sector,
            length: part["size"].as_u64()? * sector,
            is_extended: part["type"] == "5",
        })
    });
    parts
        .collect::<Option<Vec<Part>>>()
        .with_context(|| format!("{list:?}"))
}

/// Fills a disk with random bytes.
pub(super) fn randomize(nest: &Nest, disk: &Disk) -> Result<()> {
    nest.check(&format!(
        "dd if=/dev/urandom of={} bs=1M oflag=direct status=none \
         count={} iflag=count_bytes,fullblock",
        disk.path(),
        disk.bytes()
    ))?;
    Ok(())
}
