//! One GPT entry: decode, encode, labels (UEFI specification, "GPT Partition Entry Array").

use super::guid::{Guid, PartitionType};
use super::le;
use super::table::Claim;
use alloc::string::String;
use alloc::vec::Vec;

/// UTF-16 units of a label.
const LABEL_UNITS: usize = 36;
/// Where the label begins.
const AT_LABEL: usize = 56;
/// Attribute bit 2: legacy BIOS bootable.
const LEGACY_BOOT: u64 = 1 << 2;

/// The entry of number `index` (from 1), or `None` if it is unused.
pub(super) fn decode(bytes: &[u8], index: u32) -> Option<Claim> {
    let kind = Guid::at(bytes, 0)?;
    if kind == Guid::UNUSED {
        return None;
    }
    let attributes = le::u64_at(bytes, 48)?;
    Some(Claim {
        index,
        first: le::u64_at(bytes, 32)?,
        last: le::u64_at(bytes, 40)?,
        kind: PartitionType::Gpt(kind),
        label: label(bytes.get(AT_LABEL..AT_LABEL + 2 * LABEL_UNITS)?),
        uuid: Some(Guid::at(bytes, 16)?),
        attributes,
        active: attributes & LEGACY_BOOT != 0,
    })
}

/// The label up to its first NUL. Unpaired surrogates and control characters become U+FFFD: a label
/// comes from whoever wrote the disk and goes to a terminal.
fn label(units: &[u8]) -> String {
    let (pairs, _) = units.as_chunks::<2>();
    let units = pairs
        .iter()
        .map(|pair| u16::from_le_bytes(*pair))
        .take_while(|unit| *unit != 0);
    char::decode_utf16(units)
        .map(|unit| unit.ok().filter(|c| !c.is_control()))
        .map(|printable| printable.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// The 128 bytes of an entry. A label longer than 36 UTF-16 units is cut.
#[must_use]
pub fn encode(
    kind: Guid,
    uuid: Guid,
    first: u64,
    last: u64,
    attributes: u64,
    label: &str,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(&kind.0);
    bytes.extend_from_slice(&uuid.0);
    for number in [first, last, attributes] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for unit in label.encode_utf16().take(LABEL_UNITS) {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    bytes.resize(128, 0);
    bytes
}
