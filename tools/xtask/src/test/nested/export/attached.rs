//! A provider of a driver domain as a block device of dom0.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use lab::Nest;
use lab::guest::Guest;

use crate::test::nested::domain::start_config;

/// The command line of [`start`].
const RAM: &str = "md=ram:24M";
/// How long a disk may take from `xl block-attach` until dom0 has its size.
const USABLE: Duration = Duration::from_secs(60);

/// Starts the driver domain `storage` with a memory disk `ram` of 24 MiB, and these disks in xl's
/// words.
pub(in crate::test::nested) fn start<'nest>(
    nest: &'nest Nest,
    disks: &[String],
) -> Result<Guest<'nest>> {
    start_with(nest, 64, RAM, disks)
}

/// The same with so many MiB of memory, and another command line.
pub(in crate::test::nested) fn start_with<'nest>(
    nest: &'nest Nest,
    memory: u32,
    command_line: &str,
    disks: &[String],
) -> Result<Guest<'nest>> {
    // dom0 is the client of these disks.
    nest.check("modprobe xen-blkfront")?;
    let disks: Vec<String> = disks.iter().map(|disk| format!("\"{disk}\"")).collect();
    let config = format!(
        "type = \"pv\"\nkernel = \"/root/xenolith\"\nmemory = {memory}\ndriver_domain = 1\n\
         cmdline = \"{command_line}\"\ndisk = [{}]\n",
        disks.join(", ")
    );
    start_config(nest, "storage", &config)
}

/// A block device of dom0 that the domain `storage` serves. It stays until it is detached.
pub(in crate::test::nested) struct Attached<'nest> {
    nest: &'nest Nest,
    vdev: String,
    /// The id of `storage`.
    server: String,
}

impl<'nest> Attached<'nest> {
    /// Attaches `target` as `vdev` with `access` `w` or `r`, and waits until dom0 can use it.
    pub(in crate::test::nested) fn new(
        nest: &'nest Nest,
        target: &str,
        vdev: &str,
        access: &str,
    ) -> Result<Self> {
        nest.check(&block_attach(target, vdev, access))?;
        Self::existing(nest, vdev)
    }

    /// The one that was attached as `vdev`; waits until dom0 can use it.
    pub(in crate::test::nested) fn existing(nest: &'nest Nest, vdev: &str) -> Result<Self> {
        let node = format!("/local/domain/0/device/vbd/{}/backend-id", number(vdev)?);
        let usable = nest.run_for(
            &format!(
                "xenstore-read {node}; \
                 for n in {{1..200}}; do \
                     read -r size < /sys/block/{vdev}/size && [ $size != 0 ] && exit; sleep 0.1; \
                 done 2>/dev/null; \
                 xenstore-ls /local/domain/0/device/vbd; dmesg | tail -5; exit 1"
            ),
            USABLE,
        )?;
        ensure!(usable.success(), "{vdev} is not usable:\n{usable}");
        Ok(Self {
            nest,
            vdev: vdev.to_owned(),
            server: usable.stdout.trim().to_owned(),
        })
    }

    /// Its path in dom0.
    pub(in crate::test::nested) fn path(&self) -> String {
        format!("/dev/{}", self.vdev)
    }

    /// Its directory in dom0's sysfs.
    pub(in crate::test::nested) fn sysfs(&self) -> String {
        format!("/sys/block/{}", self.vdev)
    }

    /// Its size, as dom0 has it; 0 if dom0 has no such device.
    pub(in crate::test::nested) fn bytes(&self) -> Result<u64> {
        let said = self.nest.check(&format!(
            "blockdev --getsize64 {} 2>/dev/null || echo 0",
            self.path()
        ))?;
        Ok(said.trim().parse().unwrap_or(0))
    }

    /// SHA-256 of all that dom0 reads from it.
    pub(in crate::test::nested) fn sha256(&self) -> Result<String> {
        let said = self.nest.check(&format!(
            "dd if={} bs=1M iflag=direct status=none | sha256sum",
            self.path()
        ))?;
        Ok(said
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned())
    }

    /// Verifies that no flush or discard was refused since dom0 booted, on anything that was
    /// attached as this: Linux does without then, and tells only its log.
    pub(in crate::test::nested) fn refused_nothing(&self) -> Result<()> {
        let refused = format!("dmesg | grep 'blkfront: {}: .* op failed'", self.vdev);
        let said = self.nest.run(&refused)?;
        ensure!(said.stdout.is_empty(), "{said}");
        Ok(())
    }

    /// Detaches it, and sees that nothing of it is left in xenstore on either side.
    pub(in crate::test::nested) fn detach(self, force: bool) -> Result<()> {
        let force = if force { "--force " } else { "" };
        self.nest
            .check(&format!("xl block-detach {force}0 {}", self.vdev))?;
        self.is_forgotten()
    }

    /// Nothing of it is left in xenstore, nor in xl's list.
    pub(in crate::test::nested) fn is_forgotten(&self) -> Result<()> {
        let left = "xenstore-list /local/domain/0/device/vbd; xenstore-list /libxl/0/device/vbd";
        let left = format!(
            "({left}; xenstore-list /local/domain/{}/backend/vbd/0) 2>/dev/null; true",
            self.server
        );
        let deadline = Instant::now() + USABLE;
        let number = number(&self.vdev)?.to_string();
        loop {
            let nodes = self.nest.check(&left)?;
            if !nodes.lines().any(|node| node == number) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{}: left: {nodes}", self.vdev);
        }
    }
}

/// `xl block-attach` of a target of `storage` to dom0.
pub(in crate::test::nested) fn block_attach(target: &str, vdev: &str, access: &str) -> String {
    format!(
        "xl block-attach 0 'format=raw,vdev={vdev},access={access},backend=storage,target={target}'"
    )
}

/// The device number of `xvda` to `xvdp` (xen-vbd-interface(7)).
pub(in crate::test::nested) fn number(vdev: &str) -> Result<u32> {
    match vdev.as_bytes() {
        [b'x', b'v', b'd', letter @ b'a'..=b'p'] => Ok(202 << 8 | u32::from(letter - b'a') << 4),
        _ => bail!("{vdev} is none of xvda to xvdp"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_manual_page() {
        assert_eq!(number("xvda").unwrap(), 51712);
        assert_eq!(number("xvdf").unwrap(), 51792);
        assert!(number("xvdq").is_err());
        assert!(number("sda").is_err());
    }
}
