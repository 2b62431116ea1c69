//! One export as its backend sees it: its own nodes and its frontend's.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::time::Duration;

use exec::Level;
use hv::DomId;

use crate::error::StoreError;
use crate::key::{self, KeyError, KeyFault, read_number, read_text, report, start};
use crate::number::{self, NumberError};
use crate::path;
use crate::routes::{BackendRoutes, Route};
use crate::state::{self, XenbusState};
use crate::store::Store;

/// How often a device is looked at whose frontend is not watched.
const POLL: Duration = Duration::from_secs(1);
/// How often the others are. When a frontend's nodes go because one above them is removed, such as
/// the home of its domain, only a watch on just that node is told (`delete_node` in
/// xenstored_core.c), if its watcher may read it: that home is none of ours.
const UNHEARD: Duration = Duration::from_secs(30);
/// How long the own directory stays after its last state, so that the toolstack reads that: libxl
/// takes a directory that vanishes while it waits for Closed for an error
/// (`devstate_callback` in libxl_event.c). It reads as soon as xenstored tells it, and all of a
/// detach waits for this. Afterwards it waits 10 s for the directory to vanish.
const LINGER: Duration = Duration::from_millis(300);

/// Nodes that a backend wants to have room for before it serves a device: about a dozen of its own,
/// about fifteen that the toolstack makes in this domain's name with the next device, and what
/// [`Backend::refuse`] then writes.
const NODES: usize = 40;
/// The name of each of them; each lies in the one before.
const ROOM: &str = "/room";

/// The nodes of one export, at `backend/KIND/DOMAIN/DEVICE`.
///
/// The peer's identity is taken from nodes that only the toolstack writes, and checked; every value
/// of the frontend's is read once, strictly.
pub struct Backend {
    store: Store,
    device: u32,
    path: String,
    frontend: String,
    frontend_domain: DomId,
    /// The own state as this end left it, or Closing when the toolstack wants that.
    state: Cell<XenbusState>,
    routes: BackendRoutes,
    route: Rc<Route>,
    /// Something was reported that [`remove`](Self::remove) takes back.
    reported: Cell<bool>,
}

/// What a look at both ends brought: what [`next_back_step`](state::next_back_step) is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The own state: Closing also when the toolstack asks for it.
    pub own: XenbusState,
    /// The frontend's state; `None` when it, or its domain, is gone.
    pub frontend: Option<XenbusState>,
    /// Whether the toolstack wants the device to be connected again once it is Closed; one that
    /// does not say so does not.
    pub online: bool,
}

impl Backend {
    /// Looks at device `device` of `kind` that `frontend` uses. It hears of changes by `routes`,
    /// which are those of the [`BackendBus`](crate::BackendBus) that announced the device.
    ///
    /// A new device's state is Initialising. Nothing is mapped here: a device that a former life of
    /// this driver connected is put in Closing, and one that it did not connect counts as new.
    ///
    /// # Errors
    /// A node that is missing or does not hold what it must: `frontend-id` must be the domain in
    /// whose directory the device lies, and `frontend` the path where its frontend must lie (as
    /// case F25).
    pub async fn open(
        store: &Store,
        routes: &BackendRoutes,
        kind: &str,
        frontend: DomId,
        device: u32,
    ) -> Result<Self, KeyError> {
        let path = format!("backend/{kind}/{frontend}/{device}");
        let route = routes.add(frontend, device);
        let id_path = format!("{path}/frontend-id");
        let id = read_text(store, &id_path).await?;
        match path::domain(&id) {
            Some(domain) if domain == frontend => {}
            Some(_) => return Err(not_the_frontend(id_path, &id)),
            None => return Err(KeyError::number(&id_path, &id, NumberError::OutOfRange)),
        }
        let frontend_path = format!("{path}/frontend");
        let named = read_text(store, &frontend_path).await?;
        if named != format!("/local/domain/{frontend}/device/{kind}/{device}") {
            return Err(not_the_frontend(frontend_path, &named));
        }
        let state_path = format!("{path}/state");
        let refused = |error| KeyError::store(&state_path, error);
        let stored = key::own_state(store, &state_path).await.map_err(refused)?;
        let state = state::at_open(stored);
        let backend = Self {
            store: store.clone(),
            device,
            path,
            frontend: named,
            frontend_domain: frontend,
            state: Cell::new(state),
            routes: routes.clone(),
            route,
            reported: Cell::new(false),
        };
        if state == XenbusState::Closing && stored != state {
            backend.set_state(state).await.map_err(refused)?;
        }
        Ok(backend)
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

    /// The path of the frontend's nodes.
    #[must_use]
    pub fn frontend_path(&self) -> &str {
        &self.frontend
    }

    /// The domain that the frontend runs in.
    #[must_use]
    pub fn frontend_domain(&self) -> DomId {
        self.frontend_domain
    }

    /// The store that the nodes lie in.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The own state, as it was last read or written: Closing also when the toolstack asked for it.
    #[must_use]
    pub fn state(&self) -> XenbusState {
        self.state.get()
    }

    /// Looks at both ends.
    ///
    /// # Errors
    /// [`StoreError::NoEntry`] when the own directory is gone, [`StoreError::Replaced`] when the
    /// toolstack has made another device in its place. Both mean that the device is gone. Else as
    /// the store has them.
    pub async fn look(&self) -> Result<Looked, StoreError> {
        let own = self.stored(&self.store).await?;
        self.state.set(own);
        let frontend = key::peer_state(&self.store, &format!("{}/state", self.frontend)).await?;
        let online = match self.store.read(&format!("{}/online", self.path)).await {
            Ok(text) => number::flag(&text) == Ok(true),
            Err(StoreError::NoEntry | StoreError::Denied | StoreError::NotText) => false,
            Err(error) => return Err(error),
        };
        Ok(Looked {
            own,
            frontend,
            online,
        })
    }

    /// Waits until either end may have changed since the last wait ended. The first wait ends at
    /// once. The own writes count as changes.
    ///
    /// # Errors
    /// The store is lost.
    pub async fn changed(&self) -> Result<(), StoreError> {
        let told = self.route.changed.notified();
        let limit = if self.routes.is_watched(self.frontend_domain) {
            UNHEARD
        } else {
            POLL
        };
        // Nothing may come: then it is time to look, too.
        let _told = self.store.exec().timeout(limit, told).await;
        self.store.check()
    }

    /// Goes to `state`.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn set_state(&self, state: XenbusState) -> Result<(), StoreError> {
        self.publish(&[], state).await
    }

    /// Writes own nodes, named by their keys, and goes to `state`, all at once. If the toolstack
    /// has asked for Closing, and `state` is neither that nor Closed, then nothing is written, and
    /// the own state is Closing from then on: the next look tells what to do.
    ///
    /// # Errors
    /// As [`look`](Self::look): nodes that were removed are not made again, and another device's
    /// are not touched.
    pub async fn publish(
        &self,
        keys: &[(&str, String)],
        state: XenbusState,
    ) -> Result<(), StoreError> {
        let closes = matches!(state, XenbusState::Closing | XenbusState::Closed);
        let written = self
            .store
            .transaction(async |store: &Store| {
                let own = self.stored(store).await?;
                if own == XenbusState::Closing && !closes {
                    return Ok(own);
                }
                self.write(store, keys).await?;
                let number = state.number().to_string();
                store.write(&format!("{}/state", self.path), number).await?;
                Ok(state)
            })
            .await?;
        self.state.set(written);
        Ok(())
    }

    /// Removes own nodes that a former connection left, named by their keys.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn withdraw(&self, keys: &[&str]) -> Result<(), StoreError> {
        let same = async |store: &Store| self.stored(store).await.map(drop);
        key::withdraw(&self.store, &self.path, keys, same).await
    }

    /// The own state, if the nodes are still this device's.
    async fn stored(&self, store: &Store) -> Result<XenbusState, StoreError> {
        let stored = key::own_state(store, &format!("{}/state", self.path)).await?;
        state::heed(self.state.get(), stored).ok_or(StoreError::Replaced)
    }

    async fn write(&self, store: &Store, keys: &[(&str, String)]) -> Result<(), StoreError> {
        for (key, value) in keys {
            store.write(&format!("{}/{key}", self.path), value).await?;
        }
        Ok(())
    }

    /// Says why the device is not served: as [`report`] does, and in the own `hotplug-status` and
    /// `hotplug-error`, where xl's users look. Best effort.
    pub async fn refuse(&self, part: &str, text: &str) {
        self.reported.set(true);
        let keys = [
            ("hotplug-error", String::from(text)),
            ("hotplug-status", String::from("error")),
        ];
        let written = self.store.transaction(async |store: &Store| {
            self.stored(store).await?;
            self.write(store, &keys).await
        });
        if let Err(error) = written.await {
            let text = format_args!("{}: {error}", self.path);
            self.store.log().limited(Level::Warn, part, text);
        }
        report(&self.store, &self.path, part, text).await;
    }

    /// Looks whether the store lets this domain have so many more nodes that this device can be
    /// served and the next one can still be [refused](Self::refuse) in words. They are made and
    /// removed again, below the own `data`.
    ///
    /// # Errors
    /// [`StoreError::Quota`] if it does not. Else as the store has them.
    pub async fn check_room(&self) -> Result<(), StoreError> {
        let nodes = ROOM.repeat(NODES);
        self.store.write(&format!("data{nodes}"), "").await?;
        match self.store.remove(&format!("data{ROOM}")).await {
            // Another device's look.
            Err(StoreError::NoEntry) => Ok(()),
            removed => removed,
        }
    }

    /// Removes the own directory, and what was reported of the device. First it waits 0.3 s for the
    /// toolstack to read the last state. A directory that is gone already is no error.
    ///
    /// The directories above are the toolstack's; they stay.
    ///
    /// # Errors
    /// [`StoreError::Replaced`] when the toolstack has made another device in its place: that is
    /// not touched. Else as the store has them.
    pub async fn remove(&self) -> Result<(), StoreError> {
        let gone = async {
            while self.stored(&self.store).await.is_ok() && self.changed().await.is_ok() {}
        };
        // Gone before its time or not: what follows is the same.
        let _gone = self.store.exec().timeout(LINGER, gone).await;
        if self.reported.take() {
            key::take_back(&self.store, &self.path).await;
        }
        let removed = self.store.transaction(async |store: &Store| {
            self.stored(store).await?;
            store.remove(&self.path).await
        });
        match removed.await {
            Err(StoreError::NoEntry) => Ok(()),
            removed => removed,
        }
    }

    /// An own node's number, as the toolstack wrote it.
    ///
    /// # Errors
    /// A node that cannot be read or holds no number that fits.
    pub async fn read<T: TryFrom<u64>>(&self, key: &str) -> Result<T, KeyError> {
        read_number(&self.store, &format!("{}/{key}", self.path)).await
    }

    /// An own node's number that the toolstack may have written; `absent` if it did not.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_or<T: TryFrom<u64>>(&self, key: &str, absent: T) -> Result<T, KeyError> {
        key::or(self.read(key).await, absent)
    }

    /// An own node's text, as the toolstack wrote it.
    ///
    /// # Errors
    /// A node that cannot be read.
    pub async fn read_text(&self, key: &str) -> Result<String, KeyError> {
        read_text(&self.store, &format!("{}/{key}", self.path)).await
    }

    /// A number that the frontend published.
    ///
    /// # Errors
    /// A node that cannot be read or holds no number that fits.
    pub async fn read_frontend<T: TryFrom<u64>>(&self, key: &str) -> Result<T, KeyError> {
        read_number(&self.store, &format!("{}/{key}", self.frontend)).await
    }

    /// A number that the frontend may have published; `absent` if it did not.
    ///
    /// # Errors
    /// As [`read_frontend`](Self::read_frontend).
    pub async fn read_frontend_or<T: TryFrom<u64>>(
        &self,
        key: &str,
        absent: T,
    ) -> Result<T, KeyError> {
        key::or(self.read_frontend(key).await, absent)
    }

    /// A text that the frontend published.
    ///
    /// # Errors
    /// A node that cannot be read.
    pub async fn read_frontend_text(&self, key: &str) -> Result<String, KeyError> {
        read_text(&self.store, &format!("{}/{key}", self.frontend)).await
    }
}

fn not_the_frontend(path: String, value: &str) -> KeyError {
    let fault = KeyFault::NotTheFrontend {
        value: start(value),
    };
    KeyError { path, fault }
}
