//! Text for other readers: HTML, and quantities for people. No number here is a float: the domain
//! has no use for them elsewhere.

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write};
use core::time::Duration;

/// Adds formatted text.
pub fn put(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

/// Text that displays so that it stands in HTML or XML, in an attribute too. Whatever a disk or a
/// peer has named goes through this.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Not in XML, and of no use in HTML.
                c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                    f.write_char('\u{fffd}')?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A number of bytes for people: `1.5 GiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let fits = |shift: usize| bytes >> (10 * shift) < 1024;
    let Some(power) = (0..7).find(|shift| fits(*shift)).filter(|power| *power > 0) else {
        return format!("{bytes} B");
    };
    let unit = units.get(power - 1).copied().unwrap_or_default();
    let whole = bytes >> (10 * power);
    let rest = (bytes >> (10 * (power - 1))) & 1023;
    if whole >= 100 || rest * 10 < 1024 {
        return format!("{whole} {unit}");
    }
    format!("{whole}.{} {unit}", rest * 10 / 1024)
}

/// A number with a thin gap between its thousands.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = format!("{number}");
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A time for people, from microseconds to days: `64 us`, `2.0 ms`, `3 d 04:05:06`.
#[must_use]
pub fn short_time(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1000, micros / 100 % 10),
        _ => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
    }
}

/// How long the domain is up: `3 d 04:05:06`.
#[must_use]
pub fn long_time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let clock = format!("{hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    if days == 0 {
        return clock;
    }
    format!("{days} d {clock}")
}

/// What part `some` is of `all`, in percent.
#[must_use]
pub fn percent(some: u64, all: u64) -> u64 {
    let percent = u128::from(some) * 100 / u128::from(all.max(1));
    u64::try_from(percent.min(100)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup() {
        let text = Escaped("<a href='x' b=\"&\">\n\u{0}\u{ffff}é</a>");
        let expected = "&lt;a href=&#39;x&#39; b=&quot;&amp;&quot;&gt;\
            \u{fffd}\u{fffd}\u{fffd}é&lt;/a&gt;";
        assert_eq!(text.to_string(), expected);
    }

    #[test]
    fn quantities_for_people() {
        for (number, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (64 << 20, "64 MiB"),
            ((1 << 30) + (1 << 29), "1.5 GiB"),
            (100 << 40, "100 TiB"),
            (1023 << 10, "1023 KiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(number), expected);
        }
        assert_eq!(count(7), "7");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(short_time(Duration::from_micros(64)), "64 us");
        assert_eq!(short_time(Duration::from_micros(2_048)), "2.0 ms");
        assert_eq!(short_time(Duration::from_micros(8_388_608)), "8.3 s");
        assert_eq!(long_time(Duration::from_secs(59)), "00:00:59");
        assert_eq!(long_time(Duration::from_secs(273_906)), "3 d 04:05:06");
        assert_eq!(percent(1, 3), 33);
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
        assert_eq!(percent(7, 0), 100);
    }
}
