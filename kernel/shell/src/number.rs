//! Numbers as people write them.

use core::fmt;

/// Text that is no number, or one beyond 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// Not digits with an optional unit.
    NotANumber,
    /// More than 64 bits hold.
    TooLarge,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "not a number (write 512, 0x200, 4k, 1M, 2G)",
            Self::TooLarge => "a number beyond 64 bits",
        })
    }
}

impl core::error::Error for NumberError {}

/// A number without a unit: decimal, or hexadecimal after `0x`.
///
/// # Errors
/// Anything else: a sign, blanks, an empty text, more than 64 bits.
pub fn plain(text: &str) -> Result<u64, NumberError> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    if digits.is_empty() {
        return Err(NumberError::NotANumber);
    }
    digits.chars().try_fold(0u64, |number, c| {
        let digit = c.to_digit(radix).ok_or(NumberError::NotANumber)?;
        let shifted = number.checked_mul(u64::from(radix));
        shifted
            .and_then(|number| number.checked_add(u64::from(digit)))
            .ok_or(NumberError::TooLarge)
    })
}

/// A count of bytes: a number, then `k`, `M`, `G` or `T` (powers of 1024, either case) or nothing.
///
/// # Errors
/// As [`plain`]; also when the unit carries it beyond 64 bits.
pub fn bytes(text: &str) -> Result<u64, NumberError> {
    let shift = match text.bytes().last().map(|last| last.to_ascii_lowercase()) {
        Some(b'k') => 10,
        Some(b'm') => 20,
        Some(b'g') => 30,
        Some(b't') => 40,
        _ => return plain(text),
    };
    let number = plain(&text[..text.len() - 1])?;
    number.checked_mul(1 << shift).ok_or(NumberError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_units() {
        for (text, expected) in [
            ("0", 0),
            ("512", 512),
            ("0x200", 512),
            ("4k", 4096),
            ("4K", 4096),
            ("1M", 1 << 20),
            ("2g", 2 << 30),
            ("1T", 1 << 40),
            ("0x10k", 16384),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "", "k", "0x", "-1", "+1", " 1", "1 ", "1kk", "0b1", "12q", "٣", "1é", "0x1z",
        ] {
            assert_eq!(bytes(text), Err(NumberError::NotANumber), "{text:?}");
        }
    }

    #[test]
    fn what_is_too_large() {
        for text in ["18446744073709551616", "0x10000000000000000", "16777216T"] {
            assert_eq!(bytes(text), Err(NumberError::TooLarge), "{text}");
        }
        assert_eq!(bytes("16777215T"), Ok(16_777_215 << 40));
    }
}
