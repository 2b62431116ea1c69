//! Seeded changes to inputs, for all harnesses.
//!
//! The formats we read are small islands of meaning, in disks also in a sea of zeroes. So places
//! are chosen near bytes that are not zero, and numbers are replaced by those that bounds checks
//! get wrong. Which changes help is not known, so all have the same chance.

use crate::random::Random;

/// Inputs never grow beyond this many bytes.
pub const INPUT_MAX: usize = 128 << 10;

const CHANGES_MAX: usize = 6;

const INTERESTING: [u64; 22] = [
    0,
    1,
    2,
    3,
    5,
    7,
    0x0f,
    0x10,
    0x20,
    0x55,
    0x7f,
    0x80,
    0xaa,
    0xee,
    0xff,
    0x1000,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// A new input out of a corpus: one of its members with one to six changes.
#[must_use]
pub fn mutate(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(corpus).cloned().unwrap_or_default();
    for _ in 0..=random.below(CHANGES_MAX) {
        change(&mut input, corpus, random);
        input.truncate(INPUT_MAX);
    }
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = place(input, random);
    match random.below(10) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.number().to_le_bytes()[0];
            }
        }
        2 | 3 => set_number(input, at, random, false),
        4 | 5 => set_number(input, at, random, true),
        6 => copy_within(input, at, random),
        7 => splice(input, at, corpus, random),
        8 => {
            let end = at + random.below(40);
            input.drain(at.min(input.len())..end.min(input.len()));
        }
        _ => {
            let keep = random.below(input.len() + 1);
            let fill = *random.pick(&[0, 0xff, b'0', b'/']).unwrap_or(&0);
            match random.below(3) {
                0 => input.truncate(keep),
                1 => input.resize(input.len() + random.below(600), fill),
                _ => fill_range(input, at, random.below(64), fill),
            }
        }
    }
}

/// A place to change: most often on or just beside a byte that is not zero.
fn place(input: &[u8], random: &mut Random) -> usize {
    let at = random.below(input.len());
    if random.below(4) == 0 {
        return at;
    }
    let after = || {
        input
            .iter()
            .enumerate()
            .skip(at)
            .find(|(_, byte)| **byte != 0)
    };
    let before = || {
        input
            .iter()
            .enumerate()
            .take(at)
            .rfind(|(_, byte)| **byte != 0)
    };
    after()
        .or_else(before)
        .map_or(at, |(found, _)| found.saturating_sub(random.below(3)))
}

/// Writes a little-endian number of 1 to 8 bytes: an interesting one, or the one there and a little
/// more or less.
fn set_number(input: &mut [u8], at: usize, random: &mut Random, nearby: bool) {
    let width = 1 << random.below(4);
    let at = if random.below(4) == 0 {
        at
    } else {
        at & !(width - 1)
    };
    let Some(place) = input.get_mut(at..at + width) else {
        return;
    };
    let mut old = [0; 8];
    old[..width].copy_from_slice(place);
    let number = if nearby {
        let step = 1u64 << random.below(12);
        let old = u64::from_le_bytes(old);
        if random.below(2) == 0 {
            old.wrapping_add(step)
        } else {
            old.wrapping_sub(step)
        }
    } else {
        random.pick(&INTERESTING).copied().unwrap_or(0)
    };
    place.copy_from_slice(&number.to_le_bytes()[..width]);
}

fn copy_within(input: &mut [u8], at: usize, random: &mut Random) {
    let to = place(input, random);
    let room = input.len() - at.max(to).min(input.len());
    let length = [4, 8, 16, 128, 512][random.below(5)].min(room);
    input.copy_within(at..at + length, to);
}

fn splice(input: &mut Vec<u8>, at: usize, corpus: &[Vec<u8>], random: &mut Random) {
    let Some(other) = random.pick(corpus) else {
        return;
    };
    let from = place(other, random).min(other.len());
    let length = random.below(80).min(other.len() - from);
    let piece = other[from..from + length].iter().copied();
    let end = if random.below(2) == 0 {
        at
    } else {
        at + length
    };
    input.splice(at.min(input.len())..end.min(input.len()), piece);
}

fn fill_range(input: &mut [u8], at: usize, length: usize, fill: u8) {
    let end = (at + length).min(input.len());
    if let Some(range) = input.get_mut(at..end) {
        range.fill(fill);
    }
}
