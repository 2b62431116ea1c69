//! The bytes that `fill` writes.
//!
//! They are the output of the splitmix64 generator started with the seed, each 64-bit output laid
//! down as eight bytes, lowest first. Written out: with all arithmetic modulo 2^64, word `w` (bytes
//! `8 w` to `8 w + 7`, counted from the start of the filled range) is
//!
//! ```text
//! z = seed + (w + 1) * 0x9e3779b97f4a7c15
//! z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
//! z = (z ^ (z >> 27)) * 0x94d049bb133111eb
//! word = z ^ (z >> 31)
//! ```
//!
//! A range that does not end with a whole word ends with the word's first bytes. Source: the public
//! domain splitmix64.c by Sebastiano Vigna.

/// Writes the pattern's bytes from `position` on, in bytes from the range's start, into `block`.
pub fn write(seed: u64, position: u64, block: &mut [u8]) {
    let mut word = position / 8;
    let mut skip = (position % 8) as usize;
    let mut rest = block;
    while !rest.is_empty() {
        let bytes = output(seed, word).to_le_bytes();
        let count = rest.len().min(8 - skip);
        let (part, after) = rest.split_at_mut(count);
        part.copy_from_slice(&bytes[skip..skip + count]);
        rest = after;
        skip = 0;
        word = word.wrapping_add(1);
    }
}

/// The generator's output number `word`, counted from 0.
fn output(seed: u64, word: u64) -> u64 {
    let steps = word.wrapping_add(1);
    let z = seed.wrapping_add(steps.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published first outputs for seed 1234567.
    const KNOWN: [u64; 5] = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
    ];

    #[test]
    fn the_words_are_those_of_splitmix64() {
        let mut block = [0; 40];
        write(1_234_567, 0, &mut block);
        let expected: Vec<u8> = KNOWN.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(block.as_slice(), expected);
    }

    #[test]
    fn every_piece_of_the_pattern_is_the_same_as_in_the_whole() {
        let mut whole = [0; 64];
        write(7, 0, &mut whole);
        for start in 0..whole.len() {
            for end in start..whole.len() {
                let mut piece = vec![0; end - start];
                write(7, start as u64, &mut piece);
                assert_eq!(piece, whole[start..end], "{start}..{end}");
            }
        }
    }
}
