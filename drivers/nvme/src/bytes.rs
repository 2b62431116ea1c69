//! Reading what a controller wrote: numbers and text at fixed places of a page; pure.

use alloc::string::String;

/// The number at `at`, little endian; 0 beyond the end.
pub(crate) fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + N).unwrap_or_default();
    let high_first = field.iter().rev();
    high_first.fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Text padded with spaces; what is not printable ASCII becomes a question mark.
pub(crate) fn text(bytes: &[u8]) -> String {
    let shown = bytes.iter().map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    });
    let shown: String = shown.collect();
    String::from(shown.trim_matches(|c| c == ' ' || c == '?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian_and_text_is_made_printable() {
        assert_eq!(number::<2>(&[1, 2, 3], 1), 0x0302);
        assert_eq!(number::<8>(&[0xff; 8], 0), u64::MAX);
        assert_eq!(number::<4>(&[1, 2, 3], 1), 0, "beyond the end");
        assert_eq!(text(b"lab\x1b[2J  \0\0"), "lab?[2J");
    }
}
