//! What a vbd's number says: which disk, which partition (xen-vbd-interface(7)).

/// The disk that a virtual device number names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vdev {
    /// A Xen virtual disk: `xvda` is disk 0. `partition` 0 is the whole disk.
    Xvd {
        /// The disk, counted from 0; below 2^20.
        disk: u32,
        /// The partition, or 0 for the whole disk.
        partition: u32,
    },
    /// Anything else: the number of an emulated SCSI (`sda`) or IDE disk (`hda`), or one that the
    /// document does not know.
    Other(u32),
}

impl Vdev {
    /// Decodes the number in `virtual-device`, which is also the name of the device's directory.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        if number >> 28 == 1 {
            return Self::Xvd {
                disk: number >> 8 & 0xf_ffff,
                partition: number & 0xff,
            };
        }
        if number >> 8 == 202 {
            return Self::Xvd {
                disk: number >> 4 & 0xf,
                partition: number & 0xf,
            };
        }
        Self::Other(number)
    }

    /// The unit of a whole Xen virtual disk: `xvdb` is `xbd1`. Other devices have none of their own
    /// and take the lowest free one.
    #[must_use]
    pub fn unit(self) -> Option<u32> {
        match self {
            Self::Xvd { disk, partition: 0 } => Some(disk),
            Self::Xvd { .. } | Self::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_xen_vbd_interface_decode() {
        assert_eq!(Vdev::from_number(51712).unit(), Some(0), "xvda");
        assert_eq!(Vdev::from_number(51728).unit(), Some(1), "xvdb");
        assert_eq!(Vdev::from_number(51712 + 15 * 16).unit(), Some(15), "xvdp");
        assert_eq!(
            Vdev::from_number(1 << 28 | 16 << 8).unit(),
            Some(16),
            "xvdq"
        );
        assert_eq!(
            Vdev::from_number(1 << 28 | 536 << 8).unit(),
            Some(536),
            "xvdtq"
        );
    }

    #[test]
    fn partitions_and_emulated_disks_have_no_unit_of_their_own() {
        assert_eq!(
            Vdev::from_number(51713),
            Vdev::Xvd {
                disk: 0,
                partition: 1
            },
            "xvda1"
        );
        assert_eq!(Vdev::from_number(51713).unit(), None);
        assert_eq!(Vdev::from_number(8 << 8), Vdev::Other(2048), "sda");
        assert_eq!(Vdev::from_number(3 << 8), Vdev::Other(768), "hda");
        assert_eq!(Vdev::from_number(2 << 28).unit(), None, "reserved");
        assert_eq!(Vdev::from_number(u32::MAX).unit(), None);
    }
}
