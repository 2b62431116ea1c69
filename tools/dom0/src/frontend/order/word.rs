//! The words of a line: those with `=` by name, the others one after the other.

use anyhow::{Context, Result, bail};
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;
use xen_abi::io::blkif::LAST_SECTOR_IN_PAGE;

/// What is left of a line.
pub(crate) struct Words<'line> {
    plain: Vec<&'line str>,
    named: Vec<(&'line str, &'line str)>,
}

impl<'line> Words<'line> {
    pub(crate) fn new(line: &'line str) -> Self {
        let (mut plain, mut named) = (Vec::new(), Vec::new());
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some(pair) => named.push(pair),
                None => plain.push(word),
            }
        }
        plain.reverse();
        Self { plain, named }
    }

    /// The next word.
    pub(crate) fn word(&mut self, what: &str) -> Result<&'line str> {
        self.plain
            .pop()
            .with_context(|| format!("{what} is missing"))
    }

    /// The next word, as whatever it is to be.
    pub(crate) fn value<T: FromStr<Err: Display>>(&mut self, what: &str) -> Result<T> {
        let word = self.word(what)?;
        parsed(what, word)
    }

    /// The next word if there is one.
    pub(crate) fn optional<T: FromStr<Err: Display>>(&mut self, what: &str) -> Result<Option<T>> {
        let word = self.plain.pop();
        word.map(|word| parsed(what, word)).transpose()
    }

    /// The next word, milliseconds, or else this.
    pub(crate) fn limit(&mut self, otherwise: Duration) -> Result<Duration> {
        let limit = self.optional("MS")?;
        Ok(limit.map_or(otherwise, Duration::from_millis))
    }

    /// Whether the next word is this; it is taken then.
    pub(crate) fn takes(&mut self, word: &str) -> bool {
        self.plain.pop_if(|next| *next == word).is_some()
    }

    /// The value of `NAME=`, if it is there.
    pub(crate) fn named<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>> {
        let text = self.named_text(name);
        text.map(|text| parsed(name, text)).transpose()
    }

    /// The same, as it stands there.
    pub(crate) fn named_text(&mut self, name: &str) -> Option<&'line str> {
        let at = self.named.iter().position(|(found, _)| *found == name)?;
        Some(self.named.remove(at).1)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<()> {
        if let Some(word) = self.plain.last() {
            bail!("{word:?} is too much");
        }
        if let Some((name, _)) = self.named.first() {
            bail!("there is no {name}= here");
        }
        Ok(())
    }
}

fn parsed<T: FromStr<Err: Display>>(what: &str, text: &str) -> Result<T> {
    let value = text.parse();
    value.map_err(|error| anyhow::anyhow!("{what}: {text:?}: {error}"))
}

/// A page of the frontend's own, or any reference at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// `pN`: its page number N.
    Page(usize),
    /// `gN`: the grant reference N.
    Grant(u32),
}

/// A part of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) reference: Reference,
    pub(crate) first: u8,
    pub(crate) last: u8,
}

/// The most pages that a word may name.
const MAX_PAGES: usize = 1 << 16;

/// `WHAT[:FIRST-LAST],...`, where WHAT is `pN`, `pN..M` (M not among them) or `gN`; all sectors of
/// a page if none are said.
pub(crate) fn parts(text: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for word in text.split(',') {
        let (what, sectors) = word.split_once(':').unwrap_or((word, ""));
        let (first, last) = if sectors.is_empty() {
            (0, LAST_SECTOR_IN_PAGE)
        } else {
            let (first, last) = sectors
                .split_once('-')
                .with_context(|| format!("{word:?}: FIRST-LAST is missing"))?;
            (parsed("FIRST", first)?, parsed("LAST", last)?)
        };
        let part = |reference| Part {
            reference,
            first,
            last,
        };
        if let Some(grant) = what.strip_prefix('g') {
            parts.push(part(Reference::Grant(parsed("a reference", grant)?)));
        } else {
            parts.extend(pages(what)?.map(|page| part(Reference::Page(page))));
        }
    }
    Ok(parts)
}

/// `pN` or `pN..M`.
pub(crate) fn pages(text: &str) -> Result<Range<usize>> {
    let numbers = text
        .strip_prefix('p')
        .with_context(|| format!("{text:?} is no page"))?;
    let range = match numbers.split_once("..") {
        Some((first, end)) => parsed("a page", first)?..parsed("a page", end)?,
        None => {
            let page = parsed("a page", numbers)?;
            page..page + 1
        }
    };
    if range.end > MAX_PAGES {
        bail!("{text:?}: there are no more than {MAX_PAGES} pages");
    }
    Ok(range)
}

/// Bytes in hexadecimal.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok())
        .collect();
    bytes
        .filter(|_| rest.is_empty())
        .with_context(|| format!("{text:?} is not hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_pages_and_of_anything_are_read() {
        let part = |reference, first, last| Part {
            reference,
            first,
            last,
        };
        assert_eq!(
            parts("p3,p5..7:2-4,g4294967295:9-255").unwrap(),
            [
                part(Reference::Page(3), 0, 7),
                part(Reference::Page(5), 2, 4),
                part(Reference::Page(6), 2, 4),
                part(Reference::Grant(u32::MAX), 9, 255),
            ]
        );
        for wrong in [
            "",
            "3",
            "p",
            "p1:2",
            "p1:0-256",
            "g-1",
            "p1,,p2",
            "p0..99999",
        ] {
            assert!(parts(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn hexadecimal_is_read() {
        assert_eq!(bytes("00fF10").unwrap(), [0, 255, 16]);
        for wrong in ["0", "0g", "+1", "éé"] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn words_that_nobody_wants_are_refused() {
        let mut words = Words::new("take 3 queue=1 500");
        assert!(words.takes("take") && !words.takes("take"));
        assert_eq!(words.value::<u32>("N").unwrap(), 3);
        assert_eq!(words.named::<usize>("queue").unwrap(), Some(1));
        assert_eq!(words.named::<usize>("queue").unwrap(), None);
        assert!(Words::new("500").end().is_err());
        assert!(Words::new("x=1").end().is_err());
        assert_eq!(
            words.limit(Duration::ZERO).unwrap(),
            Duration::from_millis(500)
        );
        assert!(words.value::<u32>("N").is_err());
        words.end().unwrap();
    }
}
