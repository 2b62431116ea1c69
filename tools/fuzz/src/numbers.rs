//! Harness for numbers: those in the store, and those people type.
//!
//! Oracle:
//!
//! * a store number is accepted exactly if it is the text that printing some number of its type
//!   gives, and then it is that number; so no other program can read another number out of it;
//! * each refusal gives the reason that a plain reading of the text finds;
//! * a backend's path is accepted exactly if it is the one text it can be;
//! * a typed number is what a reading with 128 bits finds, and refused if that does not fit.

use hv::DomId;
use shell::number::{self as typed, NumberError as TypedError};
use xenbus::number::{NumberError, flag, parse, parse_in};
use xenbus::{path, state};

/// Runs one input: the text itself, whatever is not UTF-8 replaced.
///
/// # Panics
/// If the oracle is broken.
pub fn numbers(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    stored::<u8>(text, u8::MAX.into());
    stored::<u16>(text, u16::MAX.into());
    stored::<u32>(text, u32::MAX.into());
    stored::<u64>(text, u64::MAX);
    narrowed(text, data);
    assert_eq!(
        flag(text).ok(),
        ["0", "1"].iter().position(|t| *t == text).map(|n| n == 1)
    );
    let backend = "/local/domain/1/backend/vbd/7/51712";
    let accepted = path::is_backend(text, DomId(1), &["vbd"], DomId(7), 51712);
    assert_eq!(accepted, text == backend);
    let known = (1..=8u32).find(|number| number.to_string() == text);
    assert_eq!(state::parse(text) as u32, known.unwrap_or(0), "{text:?}");
    typed_number(text);
}

/// The number a text of digits stands for; too large ones all look alike.
fn value(text: &str, radix: u32) -> Option<u128> {
    text.chars().try_fold(0u128, |all, c| {
        let digit = c.to_digit(radix)?;
        Some(
            all.saturating_mul(radix.into())
                .saturating_add(digit.into()),
        )
    })
}

fn stored<T: TryFrom<u64> + Into<u64>>(text: &str, max: u64) {
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let number = value(text, 10).filter(|_| digits);
    let expected = match number {
        _ if text.is_empty() => Err(NumberError::Empty),
        None => Err(NumberError::NotDecimal),
        Some(_) if text.len() > 1 && text.starts_with('0') => Err(NumberError::LeadingZero),
        Some(number) if number > max.into() => Err(NumberError::OutOfRange),
        Some(number) => Ok(number),
    };
    let read: Result<u64, NumberError> = parse::<T>(text).map(Into::into);
    assert_eq!(read.map(u128::from), expected, "{text:?}");
    if let Ok(number) = read {
        assert_eq!(number.to_string(), text, "printed, it is another text");
    }
}

/// A range made of the input's first bytes.
fn narrowed(text: &str, data: &[u8]) {
    let bound = |at: usize| data.get(at).map_or(0, |byte| u64::from(byte & 0x3f));
    let (low, high) = (bound(0), bound(1));
    let expected = parse::<u64>(text)
        .ok()
        .filter(|number| low <= *number && *number <= high);
    assert_eq!(parse_in(text, low..=high).ok(), expected);
}

fn typed_number(text: &str) {
    let lower = text.to_ascii_lowercase();
    let unit = "kmgt".find(|c| lower.ends_with(c)).map_or(0, |at| at + 1);
    let body = if unit == 0 {
        &*lower
    } else {
        &lower[..lower.len() - 1]
    };
    let (digits, radix) = body
        .strip_prefix("0x")
        .map_or((body, 10), |digits| (digits, 16));
    let ascii = !digits.is_empty() && digits.is_ascii();
    let expected = match value(digits, radix).filter(|_| ascii) {
        None => Err(TypedError::NotANumber),
        Some(number) => {
            let number = number.saturating_mul(1 << (10 * unit));
            u64::try_from(number).map_err(|_| TypedError::TooLarge)
        }
    };
    let read = typed::bytes(text);
    // A text can be both no number and beyond 64 bits; which of the two is told does not matter.
    assert_eq!(read.ok(), expected.ok(), "{text:?}");
    let too_large = read == Err(TypedError::TooLarge);
    assert!(!too_large || digits.len() > 12 || unit > 0, "{text:?}");
    if unit == 0 {
        assert_eq!(typed::plain(text), read);
    }
}
