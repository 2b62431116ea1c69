//! Event channels, from `/dev/xen/evtchn`.

use super::ioctl::{Call, call};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// An event channel to another domain; dropped, it is closed.
pub(super) struct Evtchn {
    device: File,
    port: u32,
}

impl Evtchn {
    /// The other end of `port` of `domain`.
    pub(super) fn bind(domain: u32, port: u32) -> io::Result<Self> {
        let device = File::options()
            .read(true)
            .write(true)
            .open("/dev/xen/evtchn")?;
        let port = call(&device, Call::BindInterdomain, &mut [domain, port])?;
        Ok(Self { device, port })
    }

    pub(super) fn notify(&self) -> io::Result<()> {
        call(&self.device, Call::Notify, &mut [self.port]).map(drop)
    }

    /// Takes the event that there is, or waits for one; the next can come then.
    pub(super) fn take(&mut self) -> io::Result<()> {
        let mut ports = [0; 4];
        self.device.read_exact(&mut ports)?;
        self.device.write_all(&ports)
    }
}

impl Drop for Evtchn {
    fn drop(&mut self) {
        // The guest may have closed its end, and the device closes with the file anyway.
        let _ = call(&self.device, Call::Unbind, &mut [self.port]);
    }
}

impl AsFd for Evtchn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}
