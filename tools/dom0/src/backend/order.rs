//! What the backend is told on its standard input: one order a line.

use super::lie::Lie;
use anyhow::{Context, Result, bail};

/// An order. Each is answered by a line on the standard output: `ok` and what there is to say, or
/// `failed` and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `set KEY VALUE`: writes a node of the backend's directory.
    Set(String, String),
    /// `lie id|operation|status NUMBER`, `lie nothing`: what answers say from now on.
    Lie(Option<Lie>),
    /// `jump NUMBER`: claims so many answers more than there are (C01).
    Jump(u32),
    /// `storm NUMBER`: sends so many events without a reason (C05).
    Storm(u32),
    /// `hold`: answers no request from now on.
    Hold,
    /// `freeze`: does not follow the frontend's state from now on.
    Freeze,
    /// `vanish`: removes the backend's directory, and does no more (F25).
    Vanish,
    /// `release`: unmaps the pages that were kept.
    Release,
    /// `detach`: asks the frontend to close, waits for it, and removes both directories.
    Detach,
    /// `served`: says what was asked so far.
    Served,
}

impl Order {
    pub(super) fn parse(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |text: &str| text.parse::<u32>().with_context(|| text.to_owned());
        Ok(match words.as_slice() {
            ["set", key] => Self::Set((*key).to_owned(), String::new()),
            ["set", key, value] => Self::Set((*key).to_owned(), (*value).to_owned()),
            ["lie", "nothing"] => Self::Lie(None),
            ["lie", "id", id] => Self::Lie(Some(Lie::Id(id.parse()?))),
            ["lie", "operation", operation] => Self::Lie(Some(Lie::Operation(operation.parse()?))),
            ["lie", "status", status] => Self::Lie(Some(Lie::Status(status.parse()?))),
            ["jump", by] => Self::Jump(number(by)?),
            ["storm", count] => Self::Storm(number(count)?),
            ["hold"] => Self::Hold,
            ["freeze"] => Self::Freeze,
            ["vanish"] => Self::Vanish,
            ["release"] => Self::Release,
            ["detach"] => Self::Detach,
            ["served"] => Self::Served,
            _ => bail!("no such order: {line:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        let parse = |line| Order::parse(line).unwrap();
        assert_eq!(
            parse("set sectors 18446744073709551615"),
            Order::Set("sectors".into(), "18446744073709551615".into())
        );
        assert_eq!(
            parse("set state"),
            Order::Set("state".into(), String::new())
        );
        assert_eq!(
            parse("lie id 18446744073709551615"),
            Order::Lie(Some(Lie::Id(u64::MAX)))
        );
        assert_eq!(parse("lie status -3"), Order::Lie(Some(Lie::Status(-3))));
        assert_eq!(parse("lie nothing"), Order::Lie(None));
        assert_eq!(parse("storm 100"), Order::Storm(100));
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for line in [
            "",
            "lie",
            "lie id",
            "lie operation 256",
            "storm",
            "jump -1",
            "Detach",
        ] {
            assert!(Order::parse(line).is_err(), "{line:?}");
        }
    }
}
