//! Keeps dom0's own frontend away.
//!
//! Linux looks for a driver for each new device in `/local/domain/0/device`, and `xen-blkfront`
//! would take ours. While the nodes are made, Linux is told not to look by itself; a device that it
//! has seen then stays without a driver until its nodes go. When it is done with one is not to be
//! seen, but it sees one after the other: a second device, of a kind that has no driver, shows it.

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Whether devices get drivers when they appear.
const AUTOPROBE: &str = "/sys/bus/xen/drivers_autoprobe";
/// How long Linux may take to see that nodes came or went.
const SEEN: Duration = Duration::from_secs(5);

/// The kind of the second device.
pub(super) const MARK: &str = "xenolith";

/// While this lives, new devices get no driver.
pub(super) struct Hidden {
    vdev: u32,
    /// Locked, so that no other process turns it on again.
    _lock: File,
}

impl Hidden {
    /// For the vbd with this number, whose nodes are not there yet.
    pub(super) fn new(vdev: u32) -> Result<Self> {
        for kind in ["vbd", MARK] {
            let device = device(kind, vdev);
            wait(|| !device.exists()).context("the last device of this number stays")?;
        }
        let lock = File::open(AUTOPROBE).context(AUTOPROBE)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        fs::write(AUTOPROBE, "0").context(AUTOPROBE)?;
        Ok(Self { vdev, _lock: lock })
    }

    /// Waits until Linux has seen the vbd and then the second device. Both have their nodes now.
    pub(super) fn end(self) -> Result<()> {
        let mark = device(MARK, self.vdev);
        wait(|| mark.exists()).context("Linux does not see the new device")?;
        if device("vbd", self.vdev).join("driver").exists() {
            bail!("xen-blkfront has taken the device: unload it");
        }
        Ok(())
    }
}

fn device(kind: &str, vdev: u32) -> PathBuf {
    PathBuf::from(format!("/sys/bus/xen/devices/{kind}-{vdev}"))
}

impl Drop for Hidden {
    fn drop(&mut self) {
        show();
    }
}

/// What the end of [`Hidden`] does: for one who was killed meanwhile.
pub(super) fn show() {
    if let Err(error) = fs::write(AUTOPROBE, "1") {
        eprintln!("frontend: {AUTOPROBE}: {error}");
    }
}

fn wait(done: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + SEEN;
    while !done() {
        if Instant::now() >= deadline {
            bail!("after {} s", SEEN.as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
