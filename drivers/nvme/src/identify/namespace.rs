//! Identify Namespace (NVM Express 1.4, figure 245).

use core::fmt;

use geom::disk::LARGEST_MEDIA;

use crate::bytes::number;

/// What of it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceFacts {
    /// Size in bytes.
    pub(crate) size: u64,
    /// Bytes of a block: 512 to 4096.
    pub(crate) block: u32,
    /// It is write protected.
    pub(crate) read_only: bool,
    /// What is its own in the whole world, if it has that: NGUID and EUI64.
    pub(crate) unique: (u128, u64),
}

/// Why a namespace is no disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoDisk {
    /// It is not active, or has no block.
    Empty,
    /// The format in use is none of those listed.
    Format(u64),
    /// Blocks of two to the power of this many bytes.
    BlockSize(u64),
    /// So many bytes of metadata with each block.
    Metadata(u64),
    /// So many blocks are more than a disk can have.
    Size(u64),
    /// More blocks can be in use than it has.
    Capacity(u64),
}

impl fmt::Display for NoDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Format(index) => write!(f, "its format {index} is not among those it lists"),
            Self::BlockSize(power) => write!(f, "blocks of 2^{power} bytes are not usable"),
            Self::Metadata(bytes) => write!(f, "each block has {bytes} bytes of metadata"),
            Self::Size(blocks) => write!(f, "{blocks} blocks are too many"),
            Self::Capacity(blocks) => {
                write!(f, "its capacity of {blocks} blocks is beyond its size")
            }
        }
    }
}

impl NamespaceFacts {
    /// Reads the page.
    pub(crate) fn parse(page: &[u8]) -> Result<Self, NoDisk> {
        let blocks = number::<8>(page, 0);
        let capacity = number::<8>(page, 8);
        if blocks == 0 {
            return Err(NoDisk::Empty);
        }
        if capacity > blocks {
            return Err(NoDisk::Capacity(capacity));
        }
        let formats = number::<1>(page, 25) + 1;
        let index = number::<1>(page, 26);
        // Bits 6:5 are the upper ones where there are more than 16 formats.
        let index = index & 0xf | if formats > 16 { index >> 1 & 0x30 } else { 0 };
        if index >= formats {
            return Err(NoDisk::Format(index));
        }
        let at = 128 + 4 * usize::try_from(index).unwrap_or(0);
        let (metadata, power) = (number::<2>(page, at), number::<1>(page, at + 2));
        if !(9..=12).contains(&power) {
            return Err(NoDisk::BlockSize(power));
        }
        if metadata != 0 {
            return Err(NoDisk::Metadata(metadata));
        }
        if blocks > LARGEST_MEDIA >> power {
            return Err(NoDisk::Size(blocks));
        }
        Ok(Self {
            size: blocks << power,
            block: 1 << power,
            read_only: number::<1>(page, 99) & 1 != 0,
            unique: (
                u128::from(number::<8>(page, 112)) << 64 | u128::from(number::<8>(page, 104)),
                number::<8>(page, 120),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(blocks: u64, format: u8, formats: &[u32]) -> Vec<u8> {
        let mut page = vec![0; 4096];
        page[..8].copy_from_slice(&blocks.to_le_bytes());
        page[8..16].copy_from_slice(&blocks.to_le_bytes());
        page[25] = formats.len() as u8 - 1;
        page[26] = format;
        for (index, value) in formats.iter().enumerate() {
            page[128 + 4 * index..][..4].copy_from_slice(&value.to_le_bytes());
        }
        page
    }

    const fn blocks_of(power: u32) -> u32 {
        power << 16
    }

    #[test]
    fn a_namespace_is_described_by_the_format_in_use() {
        let formats = [blocks_of(9), blocks_of(9) | 8, blocks_of(12)];
        let mut page_of_it = page(131_072, 2, &formats);
        page_of_it[104] = 1;
        page_of_it[119] = 2;
        page_of_it[127] = 3;
        let facts = NamespaceFacts::parse(&page_of_it);
        let wanted = NamespaceFacts {
            size: 512 << 20,
            block: 4096,
            read_only: false,
            unique: (2 << 120 | 1, 3 << 56),
        };
        assert_eq!(facts, Ok(wanted));
        let mut protected = page(8, 0, &formats);
        protected[99] = 1;
        let facts = NamespaceFacts::parse(&protected).unwrap();
        assert!(facts.read_only && facts.size == 4096);
    }

    #[test]
    fn the_upper_bits_of_the_format_count_only_where_there_are_more_than_16() {
        let mut formats = [blocks_of(9); 20];
        formats[17] = blocks_of(12);
        let many = NamespaceFacts::parse(&page(1, 0x21, &formats));
        assert_eq!(many.unwrap().block, 4096);
        let few = NamespaceFacts::parse(&page(1, 0x21, &formats[..2]));
        assert_eq!(few.unwrap().block, 512);
    }

    #[test]
    fn sizes_that_cannot_be_are_no_disk() {
        let parse =
            |blocks, format, formats: &[u32]| NamespaceFacts::parse(&page(blocks, format, formats));
        let good = [blocks_of(9)];
        assert_eq!(parse(0, 0, &good), Err(NoDisk::Empty));
        assert_eq!(parse(1, 1, &good), Err(NoDisk::Format(1)));
        for power in [0, 8, 13, 64, 255] {
            let verdict = parse(1, 0, &[blocks_of(power)]);
            assert_eq!(verdict, Err(NoDisk::BlockSize(power.into())));
        }
        assert_eq!(parse(1, 0, &[blocks_of(9) | 8]), Err(NoDisk::Metadata(8)));
        let most = LARGEST_MEDIA >> 9;
        assert_eq!(parse(most, 0, &good).unwrap().size, most << 9);
        assert_eq!(parse(most + 1, 0, &good), Err(NoDisk::Size(most + 1)));
        assert_eq!(parse(u64::MAX, 0, &good), Err(NoDisk::Size(u64::MAX)));
        let mut beyond = page(8, 0, &good);
        beyond[8] = 9;
        assert_eq!(NamespaceFacts::parse(&beyond), Err(NoDisk::Capacity(9)));
        assert_eq!(
            NamespaceFacts::parse(&[0xff; 4096]),
            Err(NoDisk::BlockSize(255))
        );
    }
}
