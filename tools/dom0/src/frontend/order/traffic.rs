//! Orders about rings and their event channels.

use super::request::Request;
use super::word::Words;
use crate::frontend::slot::Abi;
use anyhow::Result;
use std::time::Duration;

/// How long responses may take unless it is said.
const RESPONSE: Duration = Duration::from_secs(5);

/// See [`Order`](super::Order).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    Push(Request),
    Send(Request),
    Submit(usize),
    Jump {
        queue: usize,
        by: i64,
    },
    Produce {
        queue: usize,
        index: u32,
    },
    Event {
        queue: usize,
        index: u32,
    },
    Storm {
        queue: usize,
        count: u32,
        pause: Duration,
    },
    Take {
        count: Option<u32>,
        limit: Duration,
    },
    Quiet(Duration),
    Indices(usize),
    Unbind(usize),
    Port(u32),
    Renew(Renewal),
    Work(Job),
}

/// How new rings differ from those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Renewal {
    pub(crate) abi: Option<Abi>,
    pub(crate) ring_order: Option<u32>,
    pub(crate) queues: Option<u32>,
}

/// Honest load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) seed: u64,
    /// The range, in sectors of 512 bytes; to the disk's end if no count is said.
    pub(crate) first: u64,
    pub(crate) count: Option<u64>,
    /// Requests in flight at most.
    pub(crate) depth: usize,
    /// The most segments of an indirect request; 0 for direct requests only.
    pub(crate) indirect: usize,
    /// Only reads: the pattern is there.
    pub(crate) reads_only: bool,
    /// Discards the range's middle at the end.
    pub(crate) discards: bool,
}

impl Traffic {
    /// The order that begins with `word`, if it is one of these.
    pub(crate) fn parse(word: &str, words: &mut Words<'_>) -> Result<Option<Self>> {
        let micros = |number: Option<u64>| Duration::from_micros(number.unwrap_or(0));
        Ok(Some(match word {
            "push" => Self::Push(Request::parse(words)?),
            "send" => Self::Send(Request::parse(words)?),
            "submit" => Self::Submit(queue(words)?),
            "jump" => Self::Jump {
                queue: queue(words)?,
                by: words.value("BY")?,
            },
            "prod" => Self::Produce {
                queue: queue(words)?,
                index: words.value("INDEX")?,
            },
            "event" => Self::Event {
                queue: queue(words)?,
                index: words.value("INDEX")?,
            },
            "storm" => Self::Storm {
                queue: queue(words)?,
                count: words.value("COUNT")?,
                pause: micros(words.optional("MICROSECONDS")?),
            },
            "take" => {
                let all = words.takes("all");
                let count = if all { None } else { words.optional("COUNT")? };
                Self::Take {
                    count,
                    limit: words.limit(RESPONSE)?,
                }
            }
            "quiet" => Self::Quiet(Duration::from_millis(words.value("MS")?)),
            "indices" => Self::Indices(queue(words)?),
            "unbind" => Self::Unbind(queue(words)?),
            "port" => Self::Port(words.value("DOMAIN")?),
            "renew" => Self::Renew(Renewal {
                abi: words.named("abi")?,
                ring_order: words.named("ring-order")?,
                queues: words.named("queues")?,
            }),
            "work" => Self::Work(Job {
                seed: words.value("SEED")?,
                first: words.named("first")?.unwrap_or(0),
                count: words.named("count")?,
                depth: words.named("depth")?.unwrap_or(8),
                indirect: words.named("indirect")?.unwrap_or(0),
                reads_only: words.takes("read"),
                discards: words.takes("discard"),
            }),
            _ => return Ok(None),
        }))
    }
}

fn queue(words: &mut Words<'_>) -> Result<usize> {
    Ok(words.named("queue")?.unwrap_or(0))
}
