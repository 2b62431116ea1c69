//! One node of a device, read strictly, and what to say when it is wrong.

use alloc::format;
use alloc::string::String;
use core::fmt;

use exec::Level;

use crate::error::StoreError;
use crate::number::{self, NumberError};
use crate::state::{self, XenbusState};
use crate::store::Store;

/// How much of a bad value an error repeats, in characters.
const SHOWN: usize = 40;

/// A node that does not hold what the protocol wants there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    /// The node.
    pub path: String,
    /// What is wrong.
    pub fault: KeyFault,
}

/// What is wrong with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// It cannot be read.
    Store(StoreError),
    /// It holds no number, or none in range.
    Number {
        /// The start of what it holds.
        value: String,
        /// Why that is no number.
        error: NumberError,
    },
    /// It names something else than this device's backend.
    NotTheBackend {
        /// The start of what it holds.
        value: String,
    },
    /// It names something else than this device's frontend.
    NotTheFrontend {
        /// The start of what it holds.
        value: String,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match &self.fault {
            KeyFault::Store(error) => error.fmt(f),
            KeyFault::Number { value, error } => write!(f, "{value:?} is {error}"),
            KeyFault::NotTheBackend { value } => {
                write!(f, "{value:?} is not this device's backend")
            }
            KeyFault::NotTheFrontend { value } => {
                write!(f, "{value:?} is not this device's frontend")
            }
        }
    }
}

impl core::error::Error for KeyError {}

impl KeyError {
    pub(crate) fn store(path: &str, error: StoreError) -> Self {
        Self {
            path: String::from(path),
            fault: KeyFault::Store(error),
        }
    }

    pub(crate) fn number(path: &str, value: &str, error: NumberError) -> Self {
        let value = start(value);
        Self {
            path: String::from(path),
            fault: KeyFault::Number { value, error },
        }
    }
}

/// The start of a value that another domain wrote.
pub(crate) fn start(value: &str) -> String {
    value.chars().take(SHOWN).collect()
}

/// Reports what is wrong with the device whose own nodes are at `path`, in `part`'s name: to the
/// log, and to `error/PATH/error` in the store. Best effort: a store that refuses it is only
/// logged.
pub async fn report(store: &Store, path: &str, part: &str, text: &str) {
    let log = store.log();
    log.limited(Level::Error, part, format_args!("{text}"));
    let node = format!("error/{path}/error");
    if let Err(error) = store.write(&node, text).await {
        log.limited(Level::Warn, part, format_args!("{node}: {error}"));
    }
}

/// Takes back what was [`report`]ed of a device that is gone for good: domains' numbers do not come
/// again, and the nodes of all that ever were would use up the quota. Best effort.
pub(crate) async fn take_back(store: &Store, path: &str) {
    let mut node = format!("error/{path}");
    let mut taken = store.remove(&node).await;
    // Of the directories above, those that only this device needed.
    while let Some(end) = node.rfind('/')
        && end > "error".len()
    {
        node.truncate(end);
        match store.list(&node).await {
            Ok(names) if names.is_empty() => taken = taken.and(store.remove(&node).await),
            _ => break,
        }
    }
    if let Err(error) = taken {
        let text = format_args!("error/{path}: {error}");
        store.log().limited(Level::Warn, "xenbus", text);
    }
}

/// Removes nodes below `path` that a former connection left, named by their keys, if they are still
/// the `same` device's.
pub(crate) async fn withdraw(
    store: &Store,
    path: &str,
    keys: &[&str],
    same: impl AsyncFn(&Store) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let left = store.list(path).await?;
    let keys = keys
        .iter()
        .filter(|key| left.iter().any(|name| name == *key));
    if keys.clone().next().is_none() {
        return Ok(());
    }
    store
        .transaction(async |store: &Store| {
            same(store).await?;
            for key in keys.clone() {
                store.remove(&format!("{path}/{key}")).await?;
            }
            Ok(())
        })
        .await
}

/// A node's text.
pub(crate) async fn read_text(store: &Store, path: &str) -> Result<String, KeyError> {
    store
        .read(path)
        .await
        .map_err(|error| KeyError::store(path, error))
}

/// A node's number.
pub(crate) async fn read_number<T: TryFrom<u64>>(store: &Store, path: &str) -> Result<T, KeyError> {
    let value = read_text(store, path).await?;
    number::parse(&value).map_err(|error| KeyError::number(path, &value, error))
}

/// `absent` if the node is not there.
pub(crate) fn or<T>(read: Result<T, KeyError>, absent: T) -> Result<T, KeyError> {
    match read {
        Err(KeyError {
            fault: KeyFault::Store(StoreError::NoEntry),
            ..
        }) => Ok(absent),
        result => result,
    }
}

/// The state that a node holds which is this domain's to read as long as it is there.
pub(crate) async fn own_state(store: &Store, path: &str) -> Result<XenbusState, StoreError> {
    match store.read(path).await {
        Ok(text) => Ok(state::parse(&text)),
        Err(StoreError::NotText) => Ok(XenbusState::Unknown),
        // Whether a node is missing may itself not be for this domain to know.
        Err(StoreError::Denied) => Err(StoreError::NoEntry),
        Err(error) => Err(error),
    }
}

/// The state that a peer's node holds; `None` when there is none, or none that this domain may
/// still read.
pub(crate) async fn peer_state(
    store: &Store,
    path: &str,
) -> Result<Option<XenbusState>, StoreError> {
    match own_state(store, path).await {
        Ok(state) => Ok(Some(state)),
        Err(StoreError::NoEntry) => Ok(None),
        Err(error) => Err(error),
    }
}
