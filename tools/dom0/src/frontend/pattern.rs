//! What is written to the disk: the same bytes as the kernel's shell command `fill` writes to all
//! of a disk with the same seed (`kernel/shell/src/pattern.rs`, written there), sector by sector.

use xen_abi::io::blkif::SECTOR_SIZE;

/// Bytes of a sector.
pub(super) const SECTOR: usize = SECTOR_SIZE as usize;

/// What the sector with this number has.
pub(super) fn sector(seed: u64, number: u64) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    let first = number.wrapping_mul(SECTOR_SIZE / 8);
    for (word, place) in (0..).zip(bytes.as_chunks_mut().0) {
        *place = output(seed, first.wrapping_add(word)).to_le_bytes();
    }
    bytes
}

/// splitmix64's output of this number, counted from 0, when it starts with `seed`.
pub(super) fn output(seed: u64, number: u64) -> u64 {
    let state = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_follow_each_other_in_splitmix64s_output() {
        let published = 6_457_827_717_110_365_317_u64;
        assert_eq!(sector(1_234_567, 0)[..8], published.to_le_bytes());
        assert_eq!(sector(7, 1)[..8], output(7, 64).to_le_bytes());
        assert_ne!(sector(7, 1), sector(7, 2));
    }
}
