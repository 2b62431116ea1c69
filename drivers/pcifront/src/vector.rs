//! What the backend calls the numbers of interrupts.

use alloc::vec::Vec;

use crate::Failure;

/// The highest number that is not negative where it is kept in 16 bits.
const HIGHEST: u32 = 0x7fff;

/// The numbers, if they can be those of interrupts: Xen says whether they are this domain's.
pub(crate) fn checked(values: Vec<u32>) -> Result<Vec<u32>, Failure> {
    if values.iter().any(|value| !(1..=HIGHEST).contains(value)) {
        return Err(Failure::Nonsense("no number of an interrupt"));
    }
    let mut sorted = values.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < values.len() {
        return Err(Failure::Nonsense("one interrupt for two vectors"));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p01_a_vector_is_positive_in_range_and_nobody_elses() {
        assert_eq!(checked(vec![55, 56]), Ok(vec![55, 56]));
        for values in [
            vec![0],
            vec![0xffff],
            vec![0x8000],
            vec![0xffff_fffb],
            vec![0x10000],
            vec![5, 0],
            vec![5, 6, 5],
        ] {
            assert!(checked(values.clone()).is_err(), "{values:?}");
        }
    }
}
