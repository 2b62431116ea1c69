//! Orders about pages.

use super::word::{Part, Words, bytes, pages, parts};
use anyhow::Result;
use std::ops::Range;

/// See [`Order`](super::Order).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Grant {
        count: u32,
        read_only: bool,
        domain: Option<u32>,
    },
    Fill {
        parts: Vec<Part>,
        seed: u64,
        sector: u64,
    },
    Check {
        parts: Vec<Part>,
        seed: u64,
        sector: u64,
    },
    Byte {
        parts: Vec<Part>,
        value: u8,
    },
    Sum(Vec<Part>),
    Poke {
        place: Target,
        offset: usize,
        bytes: Vec<u8>,
    },
    Revoke(Target),
}

/// What is written to, or taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Pages(Range<usize>),
    /// The queue's ring.
    Ring(usize),
}

impl Memory {
    /// The order that begins with `word`, if it is one of these.
    pub(crate) fn parse(word: &str, words: &mut Words<'_>) -> Result<Option<Self>> {
        Ok(Some(match word {
            "grant" => Self::Grant {
                count: words.value("COUNT")?,
                read_only: words.takes("ro"),
                domain: words.named("to")?,
            },
            "fill" => Self::Fill {
                parts: parts(words.word("PARTS")?)?,
                seed: words.value("SEED")?,
                sector: words.value("SECTOR")?,
            },
            "check" => Self::Check {
                parts: parts(words.word("PARTS")?)?,
                seed: words.value("SEED")?,
                sector: words.value("SECTOR")?,
            },
            "byte" => Self::Byte {
                parts: parts(words.word("PARTS")?)?,
                value: words.value("VALUE")?,
            },
            "sum" => Self::Sum(parts(words.word("PARTS")?)?),
            "poke" => Self::Poke {
                place: target(words)?,
                offset: words.value("OFFSET")?,
                bytes: bytes(words.word("HEX")?)?,
            },
            "revoke" => Self::Revoke(target(words)?),
            _ => return Ok(None),
        }))
    }
}

fn target(words: &mut Words<'_>) -> Result<Target> {
    if words.takes("ring") {
        return Ok(Target::Ring(words.named("queue")?.unwrap_or(0)));
    }
    Ok(Target::Pages(pages(words.word("PAGES")?)?))
}
