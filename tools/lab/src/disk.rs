//! Block devices in dom0, for guests to use.

use crate::nest::Nest;
use anyhow::{Result, bail};

/// A disk in dom0: a sparse file, a loop device over it, and a device-mapper target over that, so
/// that its reads and writes can be held back. It reads as zeros at first.
///
/// It stays until [`Disk::remove`] or the end of the nest.
#[derive(Clone, Debug)]
pub struct Disk {
    name: String,
    bytes: u64,
    loop_device: String,
}

/// dm's unit, and losetup's.
const UNIT: u64 = 512;

impl Disk {
    /// Makes a disk of `bytes` bytes with logical sectors of `sector` bytes: 512 or 4096.
    ///
    /// # Errors
    /// If the size is not in whole sectors, or dom0 cannot make it.
    pub fn new(nest: &Nest, name: &str, bytes: u64, sector: u64) -> Result<Self> {
        if !matches!(sector, 512 | 4096) || bytes == 0 || !bytes.is_multiple_of(sector) {
            bail!("disk {name}: {bytes} bytes in sectors of {sector}");
        }
        let file = format!("/root/disks/{name}.img");
        let loop_device = nest.check(&format!(
            "mkdir -p /root/disks && rm -f {file} && truncate -s {bytes} {file} && \
             losetup --find --show --sector-size {sector} {file}"
        ))?;
        let loop_device = loop_device.trim().to_owned();
        let disk = Self {
            name: name.to_owned(),
            bytes,
            loop_device,
        };
        nest.check(&format!(
            "dmsetup create {name} --table '0 {} linear {} 0'",
            bytes / UNIT,
            disk.loop_device
        ))?;
        Ok(disk)
    }

    /// Its device in dom0, for a `target=` of xl.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/dev/mapper/{}", self.name)
    }

    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A disk for xl: on `vdev`, for example `xvda`, with `access` `w` or `r`.
    #[must_use]
    pub fn xl(&self, vdev: &str, access: &str) -> String {
        format!(
            "format=raw,vdev={vdev},access={access},target={}",
            self.path()
        )
    }

    /// The same, set up by the lab's own script: Xen's takes seconds here for each disk.
    #[must_use]
    pub fn xl_quick(&self, vdev: &str, access: &str) -> String {
        format!("script=/run/lab/block,{}", self.xl(vdev, access))
    }

    /// Holds its requests back from now on; those under way are waited for.
    ///
    /// # Errors
    /// What dmsetup says.
    pub fn suspend(&self, nest: &Nest) -> Result<()> {
        nest.check(&format!("dmsetup suspend --nolockfs {}", self.name))?;
        Ok(())
    }

    /// Lets the requests held back go on.
    ///
    /// # Errors
    /// What dmsetup says.
    pub fn resume(&self, nest: &Nest) -> Result<()> {
        nest.check(&format!("dmsetup resume {}", self.name))?;
        Ok(())
    }

    /// From now on its requests fail, if `fail`; else they succeed again.
    ///
    /// # Errors
    /// What dmsetup says.
    pub fn set_failing(&self, nest: &Nest, fail: bool) -> Result<()> {
        let target = if fail {
            "error".to_owned()
        } else {
            format!("linear {} 0", self.loop_device)
        };
        self.load(nest, &target)
    }

    /// Changes its size. A guest that has it connected is told by dom0's backend when the backend
    /// looks at it the next time.
    ///
    /// # Errors
    /// What dom0 says.
    pub fn resize(&mut self, nest: &Nest, bytes: u64) -> Result<()> {
        nest.check(&format!(
            "truncate -s {bytes} /root/disks/{}.img && losetup --set-capacity {}",
            self.name, self.loop_device
        ))?;
        self.bytes = bytes;
        self.load(nest, &format!("linear {} 0", self.loop_device))
    }

    /// SHA-256 of `length` bytes from `offset`, in hexadecimal, as they are on the disk now.
    ///
    /// # Errors
    /// What dom0 says.
    pub fn sha256(&self, nest: &Nest, offset: u64, length: u64) -> Result<String> {
        sha256(nest, &self.path(), offset, length)
    }

    /// The same of several ranges, each an offset and a length: quicker than one after the other.
    ///
    /// # Errors
    /// What dom0 says.
    pub fn sha256_of_each(&self, nest: &Nest, ranges: &[(u64, u64)]) -> Result<Vec<String>> {
        sha256_of_each(nest, &self.path(), ranges)
    }

    /// Removes it, its loop device and its file.
    ///
    /// # Errors
    /// What dom0 says, for example that it is in use.
    pub fn remove(self, nest: &Nest) -> Result<()> {
        nest.check(&format!(
            "dmsetup remove {name} && losetup --detach {} && \
             rm /root/disks/{name}.img",
            self.loop_device,
            name = self.name
        ))?;
        Ok(())
    }

    fn load(&self, nest: &Nest, target: &str) -> Result<()> {
        let (name, sectors) = (&self.name, self.bytes / UNIT);
        nest.check(&format!(
            "dmsetup suspend --nolockfs {name} && \
             dmsetup load {name} --table '0 {sectors} {target}' && \
             dmsetup resume {name}"
        ))?;
        Ok(())
    }
}

/// SHA-256 of a range of the device or file `path` in dom0, in hexadecimal. What dom0 has cached of
/// a device is dropped first: a guest's writes do not pass through that cache.
///
/// # Errors
/// If the range is not all there, or dom0 cannot read it.
pub fn sha256(nest: &Nest, path: &str, offset: u64, length: u64) -> Result<String> {
    Ok(sha256_of_each(nest, path, &[(offset, length)])?.remove(0))
}

/// The same of several ranges, each an offset and a length.
fn sha256_of_each(nest: &Nest, path: &str, ranges: &[(u64, u64)]) -> Result<Vec<String>> {
    let lines: Vec<String> = ranges.iter().map(|(o, l)| format!("{o} {l}")).collect();
    let output = nest.run(&format!(
        "set -o pipefail; [ ! -b {path} ] || blockdev --flushbufs {path}; \
         while read -r offset length; do \
             dd if={path} bs=1M skip=$offset count=$length \
                 iflag=skip_bytes,count_bytes,fullblock | sha256sum || exit 1; \
         done <<< '{}'",
        lines.join("\n")
    ))?;
    let sums = output.stdout.lines().map(first_word).collect::<Vec<_>>();
    let lengths = ranges.iter().map(|(_, length)| *length);
    if !output.success() || !copied(&output.stderr).eq(lengths) || sums.len() != ranges.len() {
        bail!("{path}: not all of {ranges:?}: {output}");
    }
    Ok(sums)
}

fn first_word(line: &str) -> String {
    line.split(' ').next().unwrap_or_default().to_owned()
}

/// How many bytes dd says it copied, each time.
fn copied(said: &str) -> impl Iterator<Item = u64> {
    let lines = said.lines().filter(|line| line.contains(" copied"));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok())
}

/// Makes `count` RAM disks of `bytes` bytes each in dom0: `/dev/ram0` and so on.
///
/// # Errors
/// If there are some already, or dom0 cannot make them.
pub fn ram_disks(nest: &Nest, count: u32, bytes: u64) -> Result<()> {
    nest.check(&format!(
        "[ ! -b /dev/ram0 ] && modprobe brd rd_nr={count} rd_size={} max_part=0",
        bytes / 1024
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::copied;

    #[test]
    fn what_dd_copied_is_read() {
        let said =
            |count: &str| format!("8+0 records in\n8+0 records out\n{count} copied, 0.1 s\n");
        let twice = said("8388608 bytes (8.4 MB, 8.0 MiB)") + &said("1 byte");
        assert!(copied(&twice).eq([8_388_608, 1]));
        assert!(copied("dd: failed to open 'x'\n").eq([]));
    }
}
