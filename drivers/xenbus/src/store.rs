//! The store as everybody uses it.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use exec::{Executor, Log, Mailbox};
use hv::{DomId, Hypervisor, Resumed};
use pv::Pv;
use xen_abi::io::xs_wire::kind;

use crate::admission::Admitted;
use crate::client::{Client, StoreUse, TransactionId, transaction_id};
use crate::connection::{Connection, run};
use crate::dying::LastWrite;
use crate::error::StoreError;
use crate::number::{self, NumberError};
use crate::path;
use crate::permission::{self, Permission};
use crate::remote;
use crate::watch::{TreeWatch, Watch};
use crate::wire::{directory_part, strings};

/// How often a transaction that met others' changes is tried (case X03).
const TRIES: u32 = 16;
/// How often a long listing starts again because the list changed meanwhile.
const LIST_TRIES: u32 = 8;
/// The longest listing, in bytes. The daemon lets a guest have 1000 nodes.
const LIST_MAX: usize = 1 << 18;

/// A handle to xenstore; clones use the same connection.
///
/// Paths that do not start with `/` are relative to this domain's home. Values are at most 4096
/// bytes, less the path's length when written. Every call waits for the daemon's answer, at most a
/// minute; a call that is dropped while it waits may still be carried out.
///
/// Within [`transaction`](Self::transaction) the same handle type is given: what it reads is one
/// state, and what it writes happens at once or not at all.
#[derive(Clone)]
pub struct Store {
    client: Rc<Client>,
    transaction: Option<TransactionId>,
}

impl Store {
    /// Connects to the store whose page and port start_info names. To be called once per domain.
    pub fn start<H: Hypervisor>(pv: &Pv<H>) -> Self {
        let (page, _) = pv.hv.xenstore_ring();
        let port = |hv: &H| hv.xenstore_ring().1;
        let channel = Rc::new(pv.events.adopt(port, "xenstore"));
        let client = Rc::new(Client::new(pv.exec.clone(), pv.log.clone()));
        let connection = Connection::new(client.clone(), page);
        let connection = Rc::new(RefCell::new(connection));
        client.dying.enable(&connection, &channel);
        pv.exec
            .spawn("xenstore", run(connection, channel, client.clone()));
        Self::new(client)
    }

    /// The store of another run loop: what is asked of it is asked through `mailbox`, of the one
    /// that [`start`](Self::start) made. To be called once per run loop.
    pub fn behind<H: Hypervisor>(pv: &Pv<H>, mailbox: &Mailbox<Self>) -> Self {
        let client = Rc::new(Client::new(pv.exec.clone(), pv.log.clone()));
        pv.exec
            .spawn("xenstore", remote::run(client.clone(), mailbox.clone()));
        Self::new(client)
    }

    pub(crate) fn client(&self) -> &Rc<Client> {
        &self.client
    }

    pub(crate) fn new(client: Rc<Client>) -> Self {
        Self {
            client,
            transaction: None,
        }
    }

    /// The executor that the store's task runs on.
    #[must_use]
    pub fn exec(&self) -> &Executor {
        &self.client.exec
    }

    /// The log that the store writes to.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.client.log
    }

    /// The domain dies by a panic or an exception: sends as much of `write` as there is room for;
    /// says whether all of it is sent, or never can be. Waits for nothing, and allocates nothing.
    /// To be called again and again, with the same until that is sent; nothing else of the store
    /// may be called any more.
    pub fn write_last(&self, write: &LastWrite) -> bool {
        self.client.dying.send(write)
    }

    /// Waits until nothing is on its way to the daemon or back. From now on nothing is asked of it
    /// until [`release`](Self::release): what is to be asked waits, with its deadline running.
    ///
    /// # Errors
    /// The store is lost.
    pub async fn hold(&self) -> Result<(), StoreError> {
        self.client.hold.begin();
        self.client.work.notify();
        loop {
            self.check()?;
            if self.client.hold.is_quiet() {
                return Ok(());
            }
            self.client.hold.changed().await;
        }
    }

    /// Goes on. In another life of the domain its daemon knows nothing of this one: watches are
    /// registered again and fire, and transactions that were begun are done again.
    pub fn release(&self, resumed: Resumed) {
        self.client.hold.end(resumed);
        self.client.work.notify();
    }

    /// How the store has been used.
    #[must_use]
    pub fn usage(&self) -> StoreUse {
        self.client.usage()
    }

    /// A node's value.
    ///
    /// # Errors
    /// As the store has them: [`StoreError::NoEntry`], [`StoreError::Denied`] and so on.
    pub async fn read_bytes(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        self.ask(kind::READ, path, b"").await
    }

    /// A node's value as text.
    ///
    /// # Errors
    /// As [`read_bytes`](Self::read_bytes); [`StoreError::NotText`] when it is not UTF-8.
    pub async fn read(&self, path: &str) -> Result<String, StoreError> {
        String::from_utf8(self.read_bytes(path).await?).map_err(|_| StoreError::NotText)
    }

    /// A node's value as a number; the inner error says why it is none.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_number<T: TryFrom<u64>>(
        &self,
        path: &str,
    ) -> Result<Result<T, NumberError>, StoreError> {
        Ok(number::parse(&self.read(path).await?))
    }

    /// This domain's number.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`StoreError::BadReply`] when the node holds no domain's number.
    pub async fn own_domain(&self) -> Result<DomId, StoreError> {
        path::domain(&self.read("domid").await?).ok_or(StoreError::BadReply)
    }

    /// Writes a node's value. The node and its parents are made if they are not there.
    ///
    /// # Errors
    /// As the store has them.
    pub async fn write(&self, path: &str, value: impl AsRef<[u8]>) -> Result<(), StoreError> {
        self.ask(kind::WRITE, path, value.as_ref()).await.map(drop)
    }

    /// Makes a node, and its parents, unless it is there.
    ///
    /// # Errors
    /// As the store has them.
    pub async fn mkdir(&self, path: &str) -> Result<(), StoreError> {
        self.ask(kind::MKDIR, path, b"").await.map(drop)
    }

    /// Removes a node and everything below it. A node that is not there is no error if its parent
    /// is.
    ///
    /// # Errors
    /// As the store has them.
    pub async fn remove(&self, path: &str) -> Result<(), StoreError> {
        self.ask(kind::RM, path, b"").await.map(drop)
    }

    /// The names of a node's children. A list longer than one message is fetched in parts.
    ///
    /// # Errors
    /// As the store has them. [`StoreError::BadReply`] when one is no name, [`StoreError::TooLong`]
    /// above 256 KiB, [`StoreError::Again`] when a long list does not stop changing.
    pub async fn list(&self, path: &str) -> Result<Vec<String>, StoreError> {
        match self.ask(kind::DIRECTORY, path, b"").await {
            Ok(payload) => names(strings(&payload).ok_or(StoreError::BadReply)?),
            Err(StoreError::TooLong) => self.list_parts(path).await,
            Err(error) => Err(error),
        }
    }

    async fn list_parts(&self, path: &str) -> Result<Vec<String>, StoreError> {
        for _ in 0..LIST_TRIES {
            if let Some(list) = self.list_once(path).await? {
                return Ok(list);
            }
        }
        Err(StoreError::Again)
    }

    /// The children, in parts; `None` if they changed meanwhile.
    async fn list_once(&self, path: &str) -> Result<Option<Vec<String>>, StoreError> {
        let mut list = Vec::new();
        let mut generation: Option<Vec<u8>> = None;
        let mut offset = 0;
        loop {
            let argument = format!("{offset}\0");
            let payload = self
                .ask(kind::DIRECTORY_PART, path, argument.as_bytes())
                .await?;
            let part = directory_part(&payload).ok_or(StoreError::BadReply)?;
            if *generation.get_or_insert_with(|| part.generation.to_vec()) != part.generation {
                return Ok(None);
            }
            offset += part.length;
            list.extend(names(part.names)?);
            if part.last {
                return Ok(Some(list));
            }
            if part.length == 0 {
                return Err(StoreError::BadReply);
            }
            if offset > LIST_MAX {
                return Err(StoreError::TooLong);
            }
        }
    }

    /// A node's permissions, its owner's first.
    ///
    /// # Errors
    /// As the store has them; [`StoreError::BadReply`] when one cannot be read.
    pub async fn permissions(&self, path: &str) -> Result<Vec<Permission>, StoreError> {
        let payload = self.ask(kind::GET_PERMS, path, b"").await?;
        let list = strings(&payload).ok_or(StoreError::BadReply)?;
        list.into_iter()
            .map(|entry| core::str::from_utf8(entry).ok().and_then(Permission::parse))
            .collect::<Option<_>>()
            .ok_or(StoreError::BadReply)
    }

    /// Sets a node's permissions, its owner's first.
    ///
    /// # Errors
    /// As the store has them; [`StoreError::Denied`] if this domain does not own the node.
    pub async fn set_permissions(
        &self,
        path: &str,
        permissions: &[Permission],
    ) -> Result<(), StoreError> {
        let argument = permission::encode(permissions);
        self.ask(kind::SET_PERMS, path, argument.as_bytes())
            .await
            .map(drop)
    }

    /// Watches a node, which need not be there, and everything below it. Watches are never part of
    /// a transaction.
    ///
    /// # Errors
    /// As the store has them: [`StoreError::Quota`] at 128 watches, as guests usually are allowed.
    pub async fn watch(&self, path: &str) -> Result<Watch, StoreError> {
        path::check(path)?;
        Watch::register(self.client.clone(), path, None).await
    }

    /// As [`watch`](Self::watch), with a watch that says what changed: it tells nodes apart by the
    /// first `depth` parts of their paths below `path`, and takes what lies deeper for a change of
    /// the node there.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub async fn watch_tree(&self, path: &str, depth: usize) -> Result<TreeWatch, StoreError> {
        path::check(path)?;
        TreeWatch::register(self.client.clone(), path, depth).await
    }

    /// Whether the store is still there.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.client.check()
    }

    /// Runs `body` in a transaction and commits it, unless `body` fails: then nothing of what it
    /// wrote happens. When others changed what it used meanwhile, all of it is done again; so what
    /// `body` does outside the store must be harmless if it is done again.
    ///
    /// A dropped transaction ends without its changes.
    ///
    /// # Errors
    /// What `body` returns; [`StoreError::Again`] after 16 tries; what the store has.
    /// [`StoreError::Invalid`] within a transaction.
    pub async fn transaction<T>(
        &self,
        mut body: impl AsyncFnMut(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.transaction.is_some() {
            return Err(StoreError::Invalid);
        }
        for attempt in 0..TRIES {
            if attempt > 1 {
                // 1 ms, 2 ms, ... 64 ms: about half a second in all.
                let wait = Duration::from_millis(1 << (attempt - 2).min(6));
                self.exec().sleep(wait).await;
            }
            let open = Open::start(self).await?;
            let done = match body(&open.store).await {
                Ok(value) => open.commit().await.map(|()| value),
                Err(error) => Err(error),
            };
            if !matches!(done, Err(StoreError::Again)) {
                return done;
            }
        }
        Err(StoreError::Again)
    }

    async fn ask(&self, kind: u32, path: &str, argument: &[u8]) -> Result<Vec<u8>, StoreError> {
        path::check(path)?;
        let mut payload = Vec::with_capacity(path.len() + 1 + argument.len());
        payload.extend_from_slice(path.as_bytes());
        payload.push(0);
        payload.extend_from_slice(argument);
        self.client.ask(kind, self.transaction, payload).await
    }
}

/// A transaction that has been started; ends without its changes when dropped.
struct Open {
    store: Store,
    _admitted: Admitted,
}

impl Open {
    async fn start(store: &Store) -> Result<Self, StoreError> {
        let client = &store.client;
        let admitted = client.admission.admit().await;
        // There may be another connection by the time that this task runs.
        let (answer, connection) = client
            .ask_noting(kind::TRANSACTION_START, None, b"\0".to_vec())
            .await;
        let id = transaction_id(&answer?).ok_or(StoreError::BadReply)?;
        let transaction = Some(TransactionId { id, connection });
        Ok(Self {
            store: Store {
                client: client.clone(),
                transaction,
            },
            _admitted: admitted,
        })
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        let transaction = self.store.transaction.take();
        let end = b"T\0".to_vec();
        self.store
            .client
            .ask(kind::TRANSACTION_END, transaction, end)
            .await
            .map(drop)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.store.transaction.is_some() {
            self.store.client.abort(self.store.transaction);
        }
    }
}

/// Children's names as text.
fn names(list: Vec<&[u8]>) -> Result<Vec<String>, StoreError> {
    list.into_iter()
        .map(|name| {
            core::str::from_utf8(name)
                .ok()
                .filter(|name| path::is_name(name))
        })
        .map(|name| name.map(String::from).ok_or(StoreError::BadReply))
        .collect()
}
