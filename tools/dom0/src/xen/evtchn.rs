//! Event channels, from `/dev/xen/evtchn`.

use super::ioctl::{Call, call};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// An event channel to another domain; dropped, it is closed.
pub(crate) struct Evtchn {
    device: File,
    port: u32,
}

impl Evtchn {
    /// The other end of `port` of `domain`.
    pub(crate) fn bind(domain: u32, port: u32) -> io::Result<Self> {
        Self::open(Call::BindInterdomain, &mut [domain, port])
    }

    /// A new port, to which `domain` may bind one of its own.
    pub(crate) fn unbound(domain: u32) -> io::Result<Self> {
        Self::open(Call::BindUnbound, &mut [domain])
    }

    fn open(how: Call, words: &mut [u32]) -> io::Result<Self> {
        let device = File::options()
            .read(true)
            .write(true)
            .open("/dev/xen/evtchn")?;
        let port = call(&device, how, words)?;
        Ok(Self { device, port })
    }

    /// Its number in this domain.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    pub(crate) fn notify(&self) -> io::Result<()> {
        call(&self.device, Call::Notify, &mut [self.port]).map(drop)
    }

    /// Takes the event that there is, or waits for one; the next can come then.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        let mut ports = [0; 4];
        self.device.read_exact(&mut ports)?;
        self.device.write_all(&ports)
    }
}

impl Drop for Evtchn {
    fn drop(&mut self) {
        // The other domain may have closed its end, and the device closes with the file anyway.
        let _ = call(&self.device, Call::Unbind, &mut [self.port]);
    }
}

impl AsFd for Evtchn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}
