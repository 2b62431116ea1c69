//! GUIDs and partition types, with the names people know them by.

use super::le;
use core::fmt;

/// A GUID in the byte order of the disk: the first three fields are little-endian (UEFI, Appendix
/// A).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// All zeroes: the type of an unused GPT entry.
    pub const UNUSED: Self = Self([0; 16]);

    /// From the five groups of the text form, each as one number:
    /// `C12A7328-F81F-11D2-BA4B-00A0C93EC93B` is `new(0xC12A7328, 0xF81F, 0x11D2, 0xBA4B,
    /// 0x00A0_C93E_C93B)`.
    #[must_use]
    pub const fn new(a: u32, b: u16, c: u16, d: u16, e: u64) -> Self {
        let (a, b, c) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
        let (d, e) = (d.to_be_bytes(), e.to_be_bytes());
        Self([
            a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], e[2], e[3], e[4], e[5],
            e[6], e[7],
        ])
    }

    pub(super) fn at(bytes: &[u8], at: usize) -> Option<Self> {
        le::array_at(bytes, at).map(Self)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        for (place, byte) in ORDER.into_iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0[byte])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

/// What a partition says it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// A GPT type GUID.
    Gpt(Guid),
    /// An MBR type byte.
    Mbr(u8),
}

impl PartitionType {
    /// The name gpart(8) uses for it, for the common ones.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Gpt(guid) => GPT_NAMES
                .iter()
                .find(|(known, _)| *known == guid)
                .map(|n| n.1),
            Self::Mbr(byte) => MBR_NAMES
                .iter()
                .find(|(known, _)| *known == byte)
                .map(|n| n.1),
        }
    }
}

/// The name if there is one, otherwise `!` and the number, as gpart(8) prints unknown types.
impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.write_str(name),
            (None, Self::Gpt(guid)) => write!(f, "!{guid}"),
            (None, Self::Mbr(byte)) => write!(f, "!{byte}"),
        }
    }
}

const GPT_NAMES: [(Guid, &str); 12] = [
    (
        Guid::new(0xc12a_7328, 0xf81f, 0x11d2, 0xba4b, 0x00a0_c93e_c93b),
        "efi",
    ),
    (
        Guid::new(0x2168_6148, 0x6449, 0x6e6f, 0x744e, 0x6565_6445_4649),
        "bios-boot",
    ),
    (
        Guid::new(0x0fc6_3daf, 0x8483, 0x4772, 0x8e79, 0x3d69_d847_7de4),
        "linux-data",
    ),
    (
        Guid::new(0x0657_fd6d, 0xa4ab, 0x43c4, 0x84e5, 0x0933_c84b_4f4f),
        "linux-swap",
    ),
    (
        Guid::new(0xe6d6_d379, 0xf507, 0x44c2, 0xa23c, 0x238f_2a3d_f928),
        "linux-lvm",
    ),
    (
        Guid::new(0xa19d_880f, 0x05fc, 0x4d3b, 0xa006, 0x743f_0f84_911e),
        "linux-raid",
    ),
    (
        Guid::new(0xebd0_a0a2, 0xb9e5, 0x4433, 0x87c0, 0x68b6_b726_99c7),
        "ms-basic-data",
    ),
    (
        Guid::new(0xe3c9_e316, 0x0b5c, 0x4db8, 0x817d, 0xf92d_f002_15ae),
        "ms-reserved",
    ),
    (
        Guid::new(0x83bd_6b9d, 0x7f41, 0x11dc, 0xbe0b, 0x0015_60b8_4f0f),
        "freebsd-boot",
    ),
    (
        Guid::new(0x516e_7cb6, 0x6ecf, 0x11d6, 0x8ff8, 0x0002_2d09_712b),
        "freebsd-ufs",
    ),
    (
        Guid::new(0x516e_7cb5, 0x6ecf, 0x11d6, 0x8ff8, 0x0002_2d09_712b),
        "freebsd-swap",
    ),
    (
        Guid::new(0x516e_7cba, 0x6ecf, 0x11d6, 0x8ff8, 0x0002_2d09_712b),
        "freebsd-zfs",
    ),
];

const MBR_NAMES: [(u8, &str); 12] = [
    (0x01, "fat12"),
    (0x05, "ebr"),
    (0x06, "fat16"),
    (0x07, "ntfs"),
    (0x0b, "fat32"),
    (0x0c, "fat32lba"),
    (0x0f, "ebr"),
    (0x82, "linux-swap"),
    (0x83, "linux-data"),
    (0x8e, "linux-lvm"),
    (0xa5, "freebsd"),
    (0xee, "pmbr"),
];
