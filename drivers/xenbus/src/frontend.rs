//! One device as its frontend sees it: its own nodes and its backend's.

use alloc::format;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::fmt;

use exec::Level;
use hv::DomId;

use crate::error::StoreError;
use crate::number::{self, NumberError};
use crate::path;
use crate::state::{self, XenbusState};
use crate::store::Store;
use crate::watch::Watch;

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
        }
    }
}

impl core::error::Error for KeyError {}

impl KeyError {
    fn store(path: &str, error: StoreError) -> Self {
        Self {
            path: String::from(path),
            fault: KeyFault::Store(error),
        }
    }

    fn number(path: &str, value: &str, error: NumberError) -> Self {
        let value = start(value);
        Self {
            path: String::from(path),
            fault: KeyFault::Number { value, error },
        }
    }
}

/// The start of a value that another domain wrote.
fn start(value: &str) -> String {
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

/// The backend kinds that serve frontends of `kind`: libxl names a block backend by what runs it.
fn backend_kinds(kind: &str) -> &[&str] {
    match kind {
        "vbd" => &["vbd", "qdisk", "vbd3"],
        _ => &[],
    }
}

/// The nodes of one device.
///
/// The peer's identity is taken from nodes that only the toolstack writes, and checked; every value
/// of the backend's is read once, strictly.
pub struct Frontend {
    store: Store,
    device: u32,
    path: String,
    backend: String,
    backend_domain: DomId,
    /// The own state as last read or written: a node in another one has been made again.
    state: Cell<XenbusState>,
}

impl Frontend {
    /// Looks at device `device` of `kind`, `vbd` for example. Nothing is written.
    ///
    /// # Errors
    /// A node that is missing or does not hold what it must: `backend` must be the path where the
    /// backend of this very device lies in domain `backend-id` (case F25).
    pub async fn open(store: &Store, kind: &str, device: u32) -> Result<Self, KeyError> {
        let path = format!("device/{kind}/{device}");
        let own = store
            .own_domain()
            .await
            .map_err(|error| KeyError::store("domid", error))?;
        let state = read_text(store, &format!("{path}/state")).await?;
        let id_path = format!("{path}/backend-id");
        let id = read_text(store, &id_path).await?;
        let Some(backend_domain) = path::domain(&id) else {
            return Err(KeyError::number(&id_path, &id, NumberError::OutOfRange));
        };
        let backend_path = format!("{path}/backend");
        let backend = read_text(store, &backend_path).await?;
        let same = [kind];
        let kinds = match backend_kinds(kind) {
            [] => &same,
            kinds => kinds,
        };
        if !path::is_backend(&backend, backend_domain, kinds, own, device) {
            let fault = KeyFault::NotTheBackend {
                value: start(&backend),
            };
            return Err(KeyError {
                path: backend_path,
                fault,
            });
        }
        let store = store.clone();
        let state = Cell::new(state::parse(&state));
        Ok(Self {
            store,
            device,
            path,
            backend,
            backend_domain,
            state,
        })
    }

    /// The device's number.
    #[must_use]
    pub fn device(&self) -> u32 {
        self.device
    }

    /// The path of the own nodes, relative to this domain's home.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of the backend's nodes.
    #[must_use]
    pub fn backend_path(&self) -> &str {
        &self.backend
    }

    /// The domain that the backend runs in.
    #[must_use]
    pub fn backend_domain(&self) -> DomId {
        self.backend_domain
    }

    /// The store that the nodes lie in.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The own state, as it was last read or written.
    #[must_use]
    pub fn state(&self) -> XenbusState {
        self.state.get()
    }

    /// Goes to `state`.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn set_state(&self, state: XenbusState) -> Result<(), StoreError> {
        self.publish(&[], state).await
    }

    /// Writes own nodes, named by their keys, and goes to `state`, all at once.
    ///
    /// # Errors
    /// [`StoreError::NoEntry`] when the toolstack has removed the device: its nodes are not made
    /// again. [`StoreError::Replaced`] when it has made another device in its place. Both mean that
    /// the device is gone. Else as the store has them.
    pub async fn publish(
        &self,
        keys: &[(&str, String)],
        state: XenbusState,
    ) -> Result<(), StoreError> {
        let path = &self.path;
        let state_path = format!("{path}/state");
        self.store
            .transaction(async |store: &Store| {
                self.same(store).await?;
                for (key, value) in keys {
                    store.write(&format!("{path}/{key}"), value).await?;
                }
                store.write(&state_path, state.number().to_string()).await
            })
            .await?;
        self.state.set(state);
        Ok(())
    }

    /// Removes own nodes that a former connection left, named by their keys.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn withdraw(&self, keys: &[&str]) -> Result<(), StoreError> {
        let left = self.store.list(&self.path).await?;
        let keys = keys
            .iter()
            .filter(|key| left.iter().any(|name| name == *key));
        if keys.clone().next().is_none() {
            return Ok(());
        }
        self.store
            .transaction(async |store: &Store| {
                self.same(store).await?;
                for key in keys.clone() {
                    store.remove(&format!("{}/{key}", self.path)).await?;
                }
                Ok(())
            })
            .await
    }

    /// Looks whether the own nodes are still those of this device.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn check(&self) -> Result<(), StoreError> {
        self.same(&self.store).await
    }

    async fn same(&self, store: &Store) -> Result<(), StoreError> {
        let state = store.read(&format!("{}/state", self.path)).await?;
        if state::parse(&state) == self.state.get() {
            Ok(())
        } else {
            Err(StoreError::Replaced)
        }
    }

    /// Reports an error that ends the device, as [`report`] does, and goes to Closing.
    pub async fn fatal(&self, part: &str, text: &str) {
        report(&self.store, &self.path, part, text).await;
        if let Err(error) = self.set_state(XenbusState::Closing).await {
            self.store
                .log()
                .limited(Level::Warn, part, format_args!("{}: {error}", self.path));
        }
    }

    /// An own node's number, as the toolstack wrote it.
    ///
    /// # Errors
    /// A node that cannot be read or holds no number that fits.
    pub async fn read<T: TryFrom<u64>>(&self, key: &str) -> Result<T, KeyError> {
        read_number(&self.store, &format!("{}/{key}", self.path)).await
    }

    /// An own node's text, as the toolstack wrote it.
    ///
    /// # Errors
    /// A node that cannot be read.
    pub async fn read_text(&self, key: &str) -> Result<String, KeyError> {
        read_text(&self.store, &format!("{}/{key}", self.path)).await
    }

    /// A number that the backend published.
    ///
    /// # Errors
    /// A node that cannot be read or holds no number that fits.
    pub async fn read_backend<T: TryFrom<u64>>(&self, key: &str) -> Result<T, KeyError> {
        read_number(&self.store, &format!("{}/{key}", self.backend)).await
    }

    /// A number that the backend may have published; `absent` if it did not.
    ///
    /// # Errors
    /// As [`read_backend`](Self::read_backend).
    pub async fn read_backend_or<T: TryFrom<u64>>(
        &self,
        key: &str,
        absent: T,
    ) -> Result<T, KeyError> {
        match self.read_backend(key).await {
            Err(KeyError {
                fault: KeyFault::Store(StoreError::NoEntry),
                ..
            }) => Ok(absent),
            result => result,
        }
    }

    /// A text that the backend published.
    ///
    /// # Errors
    /// A node that cannot be read.
    pub async fn read_backend_text(&self, key: &str) -> Result<String, KeyError> {
        read_text(&self.store, &format!("{}/{key}", self.backend)).await
    }

    /// Whether the backend wants to be connected to again after it is Closed; one that does not say
    /// so does not.
    pub async fn backend_online(&self) -> bool {
        self.read_backend_or("online", 0u8).await == Ok(1)
    }

    /// The backend's state now; `None` when it has no state node, or none that this domain may
    /// still read: then it is gone.
    ///
    /// # Errors
    /// As the store has them.
    pub async fn backend_state(&self) -> Result<Option<XenbusState>, StoreError> {
        backend_state(&self.store, &format!("{}/state", self.backend)).await
    }

    /// Watches the backend's state.
    ///
    /// # Errors
    /// As [`Store::watch`].
    pub async fn watch_backend(&self) -> Result<BackendWatch, StoreError> {
        let watch = self.store.watch(&format!("{}/state", self.backend)).await?;
        Ok(BackendWatch {
            store: self.store.clone(),
            watch,
        })
    }
}

async fn read_text(store: &Store, path: &str) -> Result<String, KeyError> {
    store
        .read(path)
        .await
        .map_err(|error| KeyError::store(path, error))
}

async fn read_number<T: TryFrom<u64>>(store: &Store, path: &str) -> Result<T, KeyError> {
    let value = read_text(store, path).await?;
    number::parse(&value).map_err(|error| KeyError::number(path, &value, error))
}

async fn backend_state(store: &Store, path: &str) -> Result<Option<XenbusState>, StoreError> {
    match store.read(path).await {
        Ok(text) => Ok(Some(state::parse(&text))),
        // Whether a node is missing may itself not be for this domain to know.
        Err(StoreError::NoEntry | StoreError::Denied) => Ok(None),
        Err(StoreError::NotText) => Ok(Some(XenbusState::Unknown)),
        Err(error) => Err(error),
    }
}

/// The backend's state as it changes; made by [`Frontend::watch_backend`].
pub struct BackendWatch {
    store: Store,
    watch: Watch,
}

impl BackendWatch {
    /// Waits until the backend's state may have changed since the last wait ended, and reads it.
    /// The first wait ends at once. A state may come again, without a change: a backend that has
    /// changed its capacity writes Connected once more. Changes in quick succession are not all
    /// seen, only the last.
    ///
    /// # Errors
    /// As the store has them.
    pub async fn next(&self) -> Result<Option<XenbusState>, StoreError> {
        self.watch.changed().await?;
        backend_state(&self.store, self.watch.path()).await
    }
}
