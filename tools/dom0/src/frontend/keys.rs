//! What a frontend publishes before it says that it is initialised, and what it is to say instead.

use super::options::Shape;
use anyhow::{Context, Result, bail};

/// Keys and values, in the frontend's directory.
pub(super) type Keys = Vec<(String, String)>;

/// Something to say instead of the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// `KEY=VALUE`: this.
    Set(String, String),
    /// `KEY=@OTHER`: what the truth says of another key.
    Copy(String, String),
    /// `-KEY`: nothing, neither of the key nor of those below it.
    Remove(String),
}

impl Change {
    pub(super) fn parse(word: &str) -> Result<Self> {
        if let Some(key) = word.strip_prefix('-') {
            return Ok(Self::Remove(key.to_owned()));
        }
        let Some((key, value)) = word.split_once('=') else {
            bail!("{word:?} is neither KEY=VALUE nor -KEY");
        };
        let key = key.to_owned();
        Ok(match value.strip_prefix('@') {
            Some(other) => Self::Copy(key, other.to_owned()),
            None => Self::Set(key, value.to_owned()),
        })
    }
}

/// The truth (`io/blkif.h`): `queues` has each queue's references and port. The state is
/// Initialised.
pub(super) fn honest(shape: &Shape, queues: &[(Vec<u32>, u32)]) -> Keys {
    let mut keys = vec![("protocol".to_owned(), shape.abi.protocol().to_owned())];
    let mut say = |key: &str, value: u32| keys.push((key.to_owned(), value.to_string()));
    if shape.persistent {
        say("feature-persistent", 1);
    }
    if shape.ring_order > 0 && shape.legacy_keys {
        say("num-ring-pages", 1 << shape.ring_order);
    } else if shape.ring_order > 0 {
        say("ring-page-order", shape.ring_order);
    }
    if queues.len() > 1 {
        say("multi-queue-num-queues", shape.queues);
    }
    for (index, (references, port)) in queues.iter().enumerate() {
        let directory = if queues.len() > 1 {
            format!("queue-{index}/")
        } else {
            String::new()
        };
        for (page, reference) in references.iter().enumerate() {
            let number = if shape.ring_order > 0 {
                page.to_string()
            } else {
                String::new()
            };
            say(&format!("{directory}ring-ref{number}"), *reference);
        }
        say(&format!("{directory}event-channel"), *port);
    }
    say("state", 3);
    keys
}

/// `keys` with the changes, one after the other.
pub(super) fn changed(keys: &Keys, changes: &[Change]) -> Result<Keys> {
    let mut said = keys.clone();
    for change in changes {
        let (key, value) = match change {
            Change::Remove(key) => {
                let below = format!("{key}/");
                said.retain(|(name, _)| name != key && !name.starts_with(&below));
                continue;
            }
            Change::Set(key, value) => (key, value.clone()),
            Change::Copy(key, other) => {
                let found = keys.iter().find(|(name, _)| name == other);
                let (_, value) = found.with_context(|| format!("there is no {other}"))?;
                (key, value.clone())
            }
        };
        said.retain(|(name, _)| name != key);
        said.push((key.clone(), value));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::super::slot::Abi;
    use super::*;

    fn shape(ring_order: u32, queues: u32) -> Shape {
        Shape {
            abi: Abi::X86_64,
            ring_order,
            legacy_keys: false,
            queues,
            persistent: false,
        }
    }

    fn text(keys: &Keys) -> String {
        let pairs: Vec<String> = keys
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        pairs.join(" ")
    }

    #[test]
    fn one_page_and_one_queue_have_plain_keys() {
        let keys = honest(&shape(0, 1), &[(vec![8], 5)]);
        assert_eq!(
            text(&keys),
            "protocol=x86_64-abi ring-ref=8 event-channel=5 state=3"
        );
    }

    #[test]
    fn pages_are_numbered_in_both_schemes() {
        let queues = [(vec![8, 9], 5)];
        let modern = text(&honest(&shape(1, 1), &queues));
        assert!(modern.contains(" ring-page-order=1 ring-ref0=8 ring-ref1=9 event-channel=5 "));
        let legacy = Shape {
            legacy_keys: true,
            ..shape(1, 1)
        };
        assert!(text(&honest(&legacy, &queues)).contains(" num-ring-pages=2 ring-ref0=8 "));
    }

    #[test]
    fn queues_have_directories_and_nothing_above() {
        let keys = honest(&shape(0, 2), &[(vec![8], 5), (vec![9], 6)]);
        assert_eq!(
            text(&keys),
            "protocol=x86_64-abi multi-queue-num-queues=2 queue-0/ring-ref=8 \
             queue-0/event-channel=5 queue-1/ring-ref=9 queue-1/event-channel=6 state=3"
        );
    }

    #[test]
    fn b12_changes_set_copy_and_remove() {
        let truth = honest(&shape(0, 2), &[(vec![8], 5), (vec![9], 6)]);
        let said = |words: &str| {
            let changes: Vec<Change> = words
                .split(' ')
                .map(|word| Change::parse(word).unwrap())
                .collect();
            changed(&truth, &changes).map(|keys| text(&keys))
        };
        assert_eq!(
            said("-queue-1 queue-0/event-channel=@multi-queue-num-queues -state protocol=")
                .unwrap(),
            "multi-queue-num-queues=2 queue-0/ring-ref=8 queue-0/event-channel=2 protocol="
        );
        assert!(said("ring-ref=@ring-ref0").is_err());
        assert!(Change::parse("ring-ref").is_err());
    }
}
