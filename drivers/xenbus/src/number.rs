//! Numbers in the store: decimal text, read strictly (case X01).
//!
//! A value that another program could read differently is refused, never guessed at.

use core::fmt;
use core::ops::RangeInclusive;

/// Why a text is not the number that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// It is empty.
    Empty,
    /// It has a byte that is no decimal digit: a sign, a space, a letter, a NUL.
    NotDecimal,
    /// It starts with a superfluous 0, which some would read as octal.
    LeadingZero,
    /// It does not fit, or lies outside the range asked for.
    OutOfRange,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::NotDecimal => "not a decimal number",
            Self::LeadingZero => "starts with a superfluous 0",
            Self::OutOfRange => "out of range",
        })
    }
}

impl core::error::Error for NumberError {}

/// The unsigned decimal number that `text` is, all of it.
///
/// # Errors
/// Everything but `0` and digits that start with 1 to 9 and fit `T` is refused.
pub fn parse<T: TryFrom<u64>>(text: &str) -> Result<T, NumberError> {
    let digits = text.as_bytes();
    if digits.is_empty() {
        return Err(NumberError::Empty);
    }
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(NumberError::NotDecimal);
    }
    if digits.len() > 1 && digits.starts_with(b"0") {
        return Err(NumberError::LeadingZero);
    }
    let value: u64 = text.parse().map_err(|_| NumberError::OutOfRange)?;
    T::try_from(value).map_err(|_| NumberError::OutOfRange)
}

/// [`parse`], and the number lies in `range`.
///
/// # Errors
/// As [`parse`]; [`NumberError::OutOfRange`] too.
pub fn parse_in<T: TryFrom<u64> + PartialOrd>(
    text: &str,
    range: RangeInclusive<T>,
) -> Result<T, NumberError> {
    let value = parse(text)?;
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(NumberError::OutOfRange)
    }
}

/// A feature's value: `0` or `1`.
///
/// # Errors
/// Every other text is refused.
pub fn flag(text: &str) -> Result<bool, NumberError> {
    Ok(parse_in(text, 0..=1u8)? == 1)
}
