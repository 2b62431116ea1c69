//! Makes a changed GPT consistent again, so that the change reaches the checks behind the CRCs.

use crate::image::Image;

/// More entries than this are left as they are.
const TABLE_MAX: u64 = 512 << 10;

/// What a header says of its entries: first sector, bytes, sectors.
fn table(disk: &Image, header: &[u8]) -> Option<(u64, u64, u64)> {
    let number = |at: usize, to: usize| {
        header[at..to]
            .iter()
            .rev()
            .fold(0, |all, byte| all << 8 | u64::from(*byte))
    };
    let bytes = number(80, 84).saturating_mul(number(84, 88));
    let sectors = bytes.div_ceil(u64::from(disk.sector_size));
    (bytes <= TABLE_MAX).then_some((number(72, 80), bytes, sectors))
}

/// Makes the CRCs in the GPT header at `lba` right: that of its entries, if they are there, and its
/// own.
pub fn seal(disk: &mut Image, lba: u64) {
    let Some(mut header) = disk.sector(lba).filter(|_| lba > 0) else {
        return;
    };
    if let Some((at, bytes, sectors)) = table(disk, &header)
        && let Some(mut entries) = disk.read(at, sectors)
    {
        entries.truncate(usize::try_from(bytes).unwrap_or(0));
        header[88..92].copy_from_slice(&crc32(&entries).to_le_bytes());
    }
    let size = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
    header[16..20].fill(0);
    let covered = header.get(..size as usize).unwrap_or(&header);
    let crc = crc32(covered);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
    disk.write(lba, &header);
}

/// Makes the backup a true copy of the primary, at the end of the disk.
pub fn copy_primary(disk: &mut Image) {
    let Some(last) = disk.sectors.checked_sub(6).map(|spare| spare + 5) else {
        return;
    };
    let Some(mut header) = disk.sector(1) else {
        return;
    };
    let Some((from, _, sectors)) = table(disk, &header) else {
        return;
    };
    let Some(to) = last.checked_sub(sectors).filter(|to| *to > 1) else {
        return;
    };
    let Some(entries) = disk.read(from, sectors) else {
        return;
    };
    disk.write(to, &entries);
    for (at, number) in [(24, last), (32, 1), (72, to)] {
        header[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    disk.write(last, &header);
}

/// CRC-32 as GPT uses it, by table: not the crate that the code under test calls.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 {
                    (crc >> 1) ^ 0xedb8_8320
                } else {
                    crc >> 1
                };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, byte| {
        (crc >> 8) ^ TABLE[(crc as u8 ^ byte) as usize]
    })
}
