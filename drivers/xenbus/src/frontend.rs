//! One device as its frontend sees it: its own nodes and its backend's.

use alloc::format;
use alloc::string::{String, ToString};
use core::cell::Cell;

use exec::Level;
use hv::DomId;

use crate::error::StoreError;
use crate::key::{self, KeyError, KeyFault, read_number, read_text, report, start};
use crate::number::NumberError;
use crate::path;
use crate::state::{self, XenbusState};
use crate::store::Store;
use crate::watch::Watch;

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
        self.publish::<&str>(&[], state).await
    }

    /// Writes own nodes, named by their keys, and goes to `state`, all at once.
    ///
    /// # Errors
    /// [`StoreError::NoEntry`] when the toolstack has removed the device: its nodes are not made
    /// again. [`StoreError::Replaced`] when it has made another device in its place. Both mean that
    /// the device is gone. Else as the store has them.
    pub async fn publish<K: AsRef<str>>(
        &self,
        keys: &[(K, String)],
        state: XenbusState,
    ) -> Result<(), StoreError> {
        let path = &self.path;
        let state_path = format!("{path}/state");
        self.store
            .transaction(async |store: &Store| {
                self.same(store).await?;
                for (key, value) in keys {
                    let key = key.as_ref();
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
        let same = async |store: &Store| self.same(store).await;
        key::withdraw(&self.store, &self.path, keys, same).await
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
        key::or(self.read_backend(key).await, absent)
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
    ///
    /// # Errors
    /// The store is silent or lost, which says nothing of the backend.
    pub async fn backend_online(&self) -> Result<bool, StoreError> {
        match self.read_backend_or("online", 0u8).await {
            Ok(online) => Ok(online == 1),
            Err(KeyError {
                fault: KeyFault::Store(error @ (StoreError::TimedOut | StoreError::Lost(_))),
                ..
            }) => Err(error),
            // It says nothing that can be understood, or is gone.
            Err(_) => Ok(false),
        }
    }

    /// The backend's state now; `None` when it has no state node, or none that this domain may
    /// still read: then it is gone.
    ///
    /// # Errors
    /// As the store has them.
    pub async fn backend_state(&self) -> Result<Option<XenbusState>, StoreError> {
        key::peer_state(&self.store, &format!("{}/state", self.backend)).await
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
        key::peer_state(&self.store, self.watch.path()).await
    }
}
