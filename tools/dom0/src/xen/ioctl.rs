//! The operations of Linux's Xen devices (`xen/gntdev.h`, `xen/gntalloc.h`,
//! `xen/evtchn.h`).
#![expect(unsafe_code, reason = "ioctl is the only way to them")]

use rustix::ioctl::{Direction, Ioctl, IoctlOutput, Opcode, ioctl, opcode};
use std::ffi::c_void;
use std::fs::File;
use std::io;

/// What is asked of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// gntdev, words: count, 0, index (2 words, filled in), then domain and reference of each.
    MapGrants,
    /// gntdev, words: index (2 words), count, 0.
    UnmapGrants,
    /// gntalloc, words: domain and flags, count, index (2 words, filled in), then a reference of
    /// each (filled in), at least two words.
    AllocGrefs,
    /// gntalloc, words: index (2 words), count, 0.
    DeallocGrefs,
    /// evtchn, words: remote domain, remote port. Returns the local port.
    BindInterdomain,
    /// evtchn, words: remote domain. Returns the local port.
    BindUnbound,
    /// evtchn, words: port.
    Unbind,
    /// evtchn, words: port.
    Notify,
}

impl Call {
    /// The operation's number; its size is that of the C structure, with one element of an array.
    const fn opcode(self) -> Opcode {
        let (group, number, words) = match self {
            Self::MapGrants => (b'G', 0, 6),
            Self::UnmapGrants => (b'G', 1, 4),
            Self::AllocGrefs => (b'G', 5, 6),
            Self::DeallocGrefs => (b'G', 6, 4),
            Self::BindInterdomain => (b'E', 1, 2),
            Self::BindUnbound => (b'E', 2, 1),
            Self::Unbind => (b'E', 3, 1),
            Self::Notify => (b'E', 4, 1),
        };
        opcode::from_components(Direction::None, group, number, words * 4)
    }

    /// Whether the device reads and writes nothing beyond `words`.
    fn fits(self, words: &[u32]) -> bool {
        match self {
            Self::MapGrants => words
                .first()
                .is_some_and(|count| words.len() == 4 + 2 * *count as usize),
            Self::AllocGrefs => words
                .get(1)
                .is_some_and(|count| words.len() == 4 + (*count as usize).max(2)),
            Self::UnmapGrants | Self::DeallocGrefs => words.len() == 4,
            Self::BindInterdomain => words.len() == 2,
            Self::BindUnbound | Self::Unbind | Self::Notify => words.len() == 1,
        }
    }
}

struct Words<'a>(Call, &'a mut [u32]);

// SAFETY: each operation takes a pointer to its structure, which the words are (`Call::fits`), and
// may write to them.
unsafe impl Ioctl for Words<'_> {
    type Output = IoctlOutput;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.0.opcode()
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.1.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(output: IoctlOutput, _: *mut c_void) -> rustix::io::Result<i32> {
        Ok(output)
    }
}

/// Asks `device`, which is the one that the call has; returns what it returns.
pub(super) fn call(device: &File, call: Call, words: &mut [u32]) -> io::Result<u32> {
    assert!(call.fits(words), "{call:?} takes other words");
    // SAFETY: the opcode is one of the device's own, and the words are its structure.
    let output = unsafe { ioctl(device, Words(call, words)) }?;
    u32::try_from(output).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_are_those_of_the_headers() {
        // _IOC(_IOC_NONE, 'G', 0, 24) and so on: size << 16 | group << 8 | number.
        assert_eq!(Call::MapGrants.opcode(), 24 << 16 | 0x4700);
        assert_eq!(Call::UnmapGrants.opcode(), 16 << 16 | 0x4701);
        assert_eq!(Call::AllocGrefs.opcode(), 24 << 16 | 0x4705);
        assert_eq!(Call::DeallocGrefs.opcode(), 16 << 16 | 0x4706);
        assert_eq!(Call::BindInterdomain.opcode(), 8 << 16 | 0x4501);
        assert_eq!(Call::BindUnbound.opcode(), 4 << 16 | 0x4502);
        assert_eq!(Call::Unbind.opcode(), 4 << 16 | 0x4503);
        assert_eq!(Call::Notify.opcode(), 4 << 16 | 0x4504);
    }

    #[test]
    fn words_that_the_device_would_exceed_are_refused() {
        assert!(Call::MapGrants.fits(&[2, 0, 0, 0, 1, 8, 1, 9]));
        assert!(!Call::MapGrants.fits(&[3, 0, 0, 0, 1, 8, 1, 9]));
        assert!(!Call::MapGrants.fits(&[]));
        assert!(Call::AllocGrefs.fits(&[1, 3, 0, 0, 0, 0, 0]));
        assert!(Call::AllocGrefs.fits(&[1, 1, 0, 0, 0, 0]));
        assert!(!Call::AllocGrefs.fits(&[1, 1, 0, 0, 0]));
        assert!(!Call::AllocGrefs.fits(&[1, 3, 0, 0, 0, 0]));
        assert!(!Call::BindInterdomain.fits(&[1]));
    }
}
