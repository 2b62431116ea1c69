//! What the store's handles and the task that serves them share.
//!
//! Handles queue requests and wait; the task takes them one after the other, sends them and brings
//! the answers. A handle may stop waiting at any moment: what it asked for is then forgotten, or
//! undone.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::{Executor, Level, Log, Notify};
use xen_abi::io::xs_wire::{PAYLOAD_MAX, kind};

use crate::admission::{Admission, Admitted};
use crate::changes::Changes;
use crate::dying::Dying;
use crate::error::{ProtocolError, StoreError};
use crate::hold::Hold;
use crate::number;
use crate::shared::SharedWatches;
use crate::watch::{Phase, WatchState};

/// How long an answer may take. A daemon that is busy answers in milliseconds; one that is being
/// replaced while it runs, in seconds.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// A request on its way.
pub(crate) struct Request {
    pub(crate) kind: u32,
    pub(crate) transaction: Option<TransactionId>,
    pub(crate) payload: Vec<u8>,
    pub(crate) purpose: Purpose,
    answer: Cell<Option<Result<Vec<u8>, StoreError>>>,
    /// The connection that brought it.
    connection: Cell<u32>,
    answered: Notify,
    /// Nobody waits for the answer any more.
    abandoned: Cell<bool>,
}

pub(crate) enum Purpose {
    /// A handle waits for the answer.
    Caller,
    /// The task itself registers a watch.
    Watch(Rc<WatchState>),
    /// The task itself takes a watch back.
    Unwatch(Rc<WatchState>),
    /// The task itself ends a transaction that nobody will end.
    Abort,
}

/// A transaction of one connection; the next connection knows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TransactionId {
    pub(crate) id: u32,
    pub(crate) connection: u32,
}

/// How the store has been used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreUse {
    /// Requests sent.
    pub requests: u64,
    /// Watch events received.
    pub events: u64,
    /// Answers to no request of ours.
    pub stray_answers: u64,
    /// Events of no watch of ours: those of a watch taken back may still be on their way.
    pub stray_events: u64,
    /// Connections made after the first one.
    pub reconnects: u32,
    /// Watches there are.
    pub watches: usize,
}

pub(crate) struct Client {
    pub(crate) exec: Executor,
    pub(crate) log: Log,
    queue: RefCell<VecDeque<Rc<Request>>>,
    watches: RefCell<BTreeMap<u32, Rc<WatchState>>>,
    next_token: Cell<u32>,
    aborts: RefCell<Vec<TransactionId>>,
    connection: Cell<u32>,
    lost: Cell<Option<ProtocolError>>,
    usage: Cell<StoreUse>,
    /// There is something to send.
    pub(crate) work: Notify,
    pub(crate) admission: Rc<Admission>,
    /// Watches that other run loops read.
    pub(crate) shared_watches: SharedWatches,
    /// Transactions of other run loops that are open.
    relayed: RefCell<BTreeMap<TransactionId, Admitted>>,
    pub(crate) dying: Dying,
    pub(crate) hold: Hold,
}

impl Client {
    pub(crate) fn new(exec: Executor, log: Log) -> Self {
        Self {
            exec,
            log,
            queue: RefCell::default(),
            watches: RefCell::default(),
            next_token: Cell::new(1),
            aborts: RefCell::default(),
            connection: Cell::new(0),
            lost: Cell::new(None),
            usage: Cell::default(),
            work: Notify::new(),
            admission: Rc::default(),
            shared_watches: SharedWatches::default(),
            relayed: RefCell::default(),
            dying: Dying::default(),
            hold: Hold::default(),
        }
    }

    /// Whether there still is a store.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.lost
            .get()
            .map_or(Ok(()), |error| Err(StoreError::Lost(error)))
    }

    /// Sends a request and waits for the answer's payload.
    pub(crate) async fn ask(
        &self,
        kind: u32,
        transaction: Option<TransactionId>,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        self.ask_noting(kind, transaction, payload).await.0
    }

    /// The same, with the number of the connection by which the answer came; of the present one if
    /// none came.
    pub(crate) async fn ask_noting(
        &self,
        kind: u32,
        transaction: Option<TransactionId>,
        payload: Vec<u8>,
    ) -> (Result<Vec<u8>, StoreError>, u32) {
        if let Err(lost) = self.check() {
            return (Err(lost), self.connection.get());
        }
        if payload.len() > PAYLOAD_MAX {
            return (Err(StoreError::TooLong), self.connection.get());
        }
        let request = Rc::new(Request::new(kind, transaction, payload, Purpose::Caller));
        self.queue.borrow_mut().push_back(request.clone());
        self.work.notify();
        let waiting = Waiting(request);
        let answered = waiting.0.answered.notified();
        match self.exec.timeout(ANSWER_DEADLINE, answered).await {
            Ok(()) => {
                let answer = waiting.0.answer.take();
                let connection = waiting.0.connection.get();
                (answer.unwrap_or(Err(StoreError::BadReply)), connection)
            }
            Err(_) => (Err(StoreError::TimedOut), self.connection.get()),
        }
    }

    /// A transaction of another run loop's is open: it counts as one of this domain's.
    pub(crate) fn admit_relayed(&self, transaction: TransactionId, admitted: Admitted) {
        let mut relayed = self.relayed.borrow_mut();
        relayed.retain(|other, _| other.connection == self.connection.get());
        relayed.insert(transaction, admitted);
    }

    /// It is not any more.
    pub(crate) fn end_relayed(&self, transaction: TransactionId) {
        let ended = self.relayed.borrow_mut().remove(&transaction);
        drop(ended);
    }

    /// The next request to send, if there is any.
    pub(crate) fn next_request(&self) -> Option<Rc<Request>> {
        if self.hold.is_held() {
            return None;
        }
        let request = self
            .next_abort()
            .or_else(|| self.next_watch())
            .or_else(|| self.next_asked());
        if request.is_some() {
            self.count(|usage| usage.requests += 1);
        }
        request
    }

    fn next_abort(&self) -> Option<Rc<Request>> {
        loop {
            let transaction = self.aborts.borrow_mut().pop()?;
            if transaction.connection == self.connection.get() {
                let end = b"F\0".to_vec();
                let kind = kind::TRANSACTION_END;
                return Some(Rc::new(Request::new(
                    kind,
                    Some(transaction),
                    end,
                    Purpose::Abort,
                )));
            }
        }
    }

    fn next_watch(&self) -> Option<Rc<Request>> {
        let mut watches = self.watches.borrow_mut();
        watches.retain(|_, watch| watch.phase.get() != Phase::Wanted || !watch.dropped.get());
        watches.values().find_map(|watch| {
            let (kind, purpose) = match watch.phase.get() {
                Phase::Wanted => {
                    watch.phase.set(Phase::Registering);
                    (kind::WATCH, Purpose::Watch(watch.clone()))
                }
                Phase::Live if watch.dropped.get() => {
                    watch.phase.set(Phase::Unregistering);
                    (kind::UNWATCH, Purpose::Unwatch(watch.clone()))
                }
                _ => return None,
            };
            Some(Rc::new(Request::new(kind, None, watch.payload(), purpose)))
        })
    }

    fn next_asked(&self) -> Option<Rc<Request>> {
        loop {
            let request = self.queue.borrow_mut().pop_front()?;
            let stale = request
                .transaction
                .is_some_and(|t| t.connection != self.connection.get());
            if stale {
                self.complete(&request, Err(StoreError::Again));
            } else if !request.abandoned.get() || request.kind == kind::TRANSACTION_END {
                return Some(request);
            }
        }
    }

    /// Brings a request its answer.
    pub(crate) fn complete(&self, request: &Request, answer: Result<Vec<u8>, StoreError>) {
        match &request.purpose {
            Purpose::Caller => {
                if request.abandoned.get() && request.kind == kind::TRANSACTION_START {
                    let id = answer.ok().and_then(|payload| transaction_id(&payload));
                    self.abort(id.map(|id| self.transaction(id)));
                } else {
                    request.connection.set(self.connection.get());
                    request.answer.set(Some(answer));
                    request.answered.notify();
                }
            }
            Purpose::Watch(watch) => match answer {
                Ok(_) => watch.registered(),
                Err(error) => {
                    // The daemon's word for one watch too many (xenstored_watch.c).
                    let too_many = error == StoreError::TooLong;
                    self.fail_watch(watch, if too_many { StoreError::Quota } else { error });
                }
            },
            // A watch that cannot be taken back is one the daemon does not know.
            Purpose::Unwatch(watch) => {
                self.watches.borrow_mut().remove(&watch.token);
            }
            Purpose::Abort => {}
        }
    }

    /// The transaction that the present connection's daemon calls `id`.
    pub(crate) fn transaction(&self, id: u32) -> TransactionId {
        TransactionId {
            id,
            connection: self.connection.get(),
        }
    }

    /// Ends a transaction without its changes, some time soon.
    pub(crate) fn abort(&self, transaction: Option<TransactionId>) {
        self.aborts.borrow_mut().extend(transaction);
        self.work.notify();
    }

    /// Notes a watch to be registered.
    pub(crate) fn add_watch(
        &self,
        path: &str,
        depth: Option<usize>,
    ) -> Result<Rc<WatchState>, StoreError> {
        self.check()?;
        let mut watches = self.watches.borrow_mut();
        let mut token = self.next_token.get();
        while watches.contains_key(&token) {
            token = token.wrapping_add(1);
        }
        self.next_token.set(token.wrapping_add(1));
        let watch = Rc::new(WatchState::new(token, path, depth));
        watches.insert(token, watch.clone());
        self.work.notify();
        Ok(watch)
    }

    /// A watch has fired: any number of events before its owner looks are one.
    pub(crate) fn event(&self, path: &[u8], token: &[u8]) {
        let token = core::str::from_utf8(token)
            .ok()
            .and_then(|text| number::parse(text).ok());
        let watch = token.and_then(|token: u32| self.watches.borrow().get(&token).cloned());
        match watch {
            Some(watch) => {
                self.count(|usage| usage.events += 1);
                watch.event(path);
            }
            None => self.count(|usage| usage.stray_events += 1),
        }
    }

    /// A watch of another run loop's has seen what one here is to see.
    pub(crate) fn seen(&self, watch: &WatchState, changes: Changes) {
        self.count(|usage| usage.events += 1);
        watch.take_in(changes);
    }

    /// A watch sees nothing any more.
    pub(crate) fn fail_watch(&self, watch: &WatchState, why: StoreError) {
        watch.fail(why);
        self.watches.borrow_mut().remove(&watch.token);
    }

    /// The present connection is another run loop's, where it has this number.
    pub(crate) fn set_connection(&self, number: u32) {
        self.connection.set(number);
    }

    pub(crate) fn stray_answer(&self, id: u32) {
        self.count(|usage| usage.stray_answers += 1);
        self.log.limited(
            Level::Warn,
            "xenstore",
            format_args!("an answer to request {id}, which was never made"),
        );
    }

    /// A new connection has taken the old one's place. Requests that were `in_flight` are made
    /// again (all of them may be), but for those of transactions, and so are the watches.
    pub(crate) fn reconnected(&self, in_flight: impl Iterator<Item = Rc<Request>>) {
        self.count(|usage| usage.reconnects += 1);
        self.begin_anew(in_flight);
    }

    /// The same for a daemon of the domain's next life.
    pub(crate) fn begin_anew(&self, in_flight: impl Iterator<Item = Rc<Request>>) {
        self.connection.set(self.connection.get().wrapping_add(1));
        let ended = self.relayed.take();
        drop(ended);
        let again = in_flight.filter(|request| matches!(request.purpose, Purpose::Caller));
        self.queue.borrow_mut().extend(again);
        self.watches.borrow_mut().retain(|_, watch| {
            watch.phase.set(Phase::Wanted);
            !watch.dropped.get()
        });
    }

    /// The store is lost for good: every request fails from now on, and so does every watch.
    pub(crate) fn lose(&self, error: ProtocolError, in_flight: impl Iterator<Item = Rc<Request>>) {
        self.lost.set(Some(error));
        self.hold.lose();
        let queued = core::mem::take(&mut *self.queue.borrow_mut());
        for request in in_flight.chain(queued) {
            self.complete(&request, Err(StoreError::Lost(error)));
        }
        let watches = core::mem::take(&mut *self.watches.borrow_mut());
        for watch in watches.values() {
            watch.fail(StoreError::Lost(error));
        }
    }

    pub(crate) fn usage(&self) -> StoreUse {
        StoreUse {
            watches: self.watches.borrow().len(),
            ..self.usage.get()
        }
    }

    fn count(&self, add: impl FnOnce(&mut StoreUse)) {
        let mut usage = self.usage.get();
        add(&mut usage);
        self.usage.set(usage);
    }
}

impl Request {
    fn new(
        kind: u32,
        transaction: Option<TransactionId>,
        payload: Vec<u8>,
        purpose: Purpose,
    ) -> Self {
        Self {
            kind,
            transaction,
            payload,
            purpose,
            answer: Cell::new(None),
            connection: Cell::new(0),
            answered: Notify::new(),
            abandoned: Cell::new(false),
        }
    }
}

/// A handle's wait for an answer.
struct Waiting(Rc<Request>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abandoned.set(true);
    }
}

/// The id in the answer to `TRANSACTION_START`.
pub(crate) fn transaction_id(payload: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(payload.strip_suffix(b"\0")?).ok()?;
    number::parse(text).ok().filter(|id| *id != 0)
}
