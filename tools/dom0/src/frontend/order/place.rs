//! Orders about what stands in xenstore.

use super::super::keys::Change;
use super::word::Words;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// How long a backend may take for a step; libxl's own patience.
const STEP: Duration = Duration::from_secs(10);

/// See [`Order`](super::Order).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Attach,
    Publish(Vec<Change>),
    Connect(Duration),
    Wait(Vec<Awaited>, Duration),
    Set(String, String),
    Unset(String),
    Tell(String, String),
    Read(String),
    Flood(Flood),
    Close(Duration),
    Detach { silent: bool, limit: Duration },
    Force(Duration),
    Vanish,
}

/// What a backend is waited for to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// In this state.
    State(u32),
    /// Without a directory.
    Gone,
}

/// One node of the frontend's, written many times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flood {
    pub(crate) key: String,
    /// One after the other.
    pub(crate) values: Vec<String>,
    pub(crate) times: u32,
    pub(crate) pause: Duration,
}

impl Place {
    /// The order that begins with `word`, if it is one of these. Values go to the line's end.
    pub(crate) fn parse(word: &str, line: &str) -> Result<Option<Self>> {
        let rest = line.split_once(' ').map_or("", |(_, rest)| rest);
        let pair = || {
            let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
            if key.is_empty() {
                bail!("KEY is missing");
            }
            Ok((key.to_owned(), value.to_owned()))
        };
        match word {
            "publish" => {
                let changes = rest.split_whitespace().map(Change::parse);
                return Ok(Some(Self::Publish(changes.collect::<Result<_>>()?)));
            }
            "set" => return pair().map(|(key, value)| Some(Self::Set(key, value))),
            "tell" => return pair().map(|(key, value)| Some(Self::Tell(key, value))),
            _ => {}
        }
        let mut words = Words::new(rest);
        let order = match word {
            "attach" => Self::Attach,
            "connect" => Self::Connect(words.limit(STEP)?),
            "wait" => Self::Wait(awaited(words.word("STATE")?)?, words.limit(STEP)?),
            "state" => Self::Set("state".to_owned(), words.value::<u32>("STATE")?.to_string()),
            "unset" => Self::Unset(words.value("KEY")?),
            "read" => Self::Read(words.value("KEY")?),
            "flood" => Self::Flood(Flood {
                key: words.value("KEY")?,
                values: words
                    .word("VALUES")?
                    .split(',')
                    .map(str::to_owned)
                    .collect(),
                times: words.value("TIMES")?,
                pause: Duration::from_micros(words.optional("MICROSECONDS")?.unwrap_or(0)),
            }),
            "close" => Self::Close(words.limit(STEP)?),
            "detach" => Self::Detach {
                silent: words.takes("silent"),
                limit: words.limit(STEP)?,
            },
            "force" => Self::Force(words.limit(STEP)?),
            "vanish" => Self::Vanish,
            _ => return Ok(None),
        };
        words.end()?;
        Ok(Some(order))
    }
}

fn awaited(text: &str) -> Result<Vec<Awaited>> {
    let one = |word: &str| {
        if word == "gone" {
            return Ok(Awaited::Gone);
        }
        let state = word.parse();
        state
            .map(Awaited::State)
            .with_context(|| format!("{word:?} is no state"))
    };
    text.split(',').map(one).collect()
}
