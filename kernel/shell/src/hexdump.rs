//! Bytes as `hexdump -C` prints them.

use core::fmt::{self, Write};

/// The bytes one line shows.
pub const LINE: usize = 16;

/// Writes one line: the offset, up to [`LINE`] bytes in hexadecimal, and the same as text.
///
/// # Errors
/// Those of `into`.
pub fn line(into: &mut impl Write, offset: u64, bytes: &[u8]) -> fmt::Result {
    write!(into, "{offset:08x} ")?;
    for column in 0..LINE {
        if column % 8 == 0 {
            into.write_char(' ')?;
        }
        match bytes.get(column) {
            Some(byte) => write!(into, "{byte:02x} ")?,
            None => into.write_str("   ")?,
        }
    }
    into.write_str(" |")?;
    for &byte in bytes.iter().take(LINE) {
        let shown = byte.is_ascii_graphic() || byte == b' ';
        into.write_char(if shown { char::from(byte) } else { '.' })?;
    }
    into.write_str("|\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_hexdump_c_prints() {
        let mut text = String::new();
        line(&mut text, 0x200, b"EFI PART\0\0\x01\0\\\0\x7f\xff").unwrap();
        line(&mut text, 0x210, b"abcdefghi").unwrap();
        line(&mut text, 0x1_0000_0000, b"").unwrap();
        let expected = concat!(
            "00000200  45 46 49 20 50 41 52 54  00 00 01 00 5c 00 7f ff  |EFI PART....\\...|\n",
            "00000210  61 62 63 64 65 66 67 68  69                       |abcdefghi|\n",
            "100000000                                                    ||\n",
        );
        assert_eq!(text, expected);
    }
}
