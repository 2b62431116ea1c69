//! The store of a run loop that has no connection to the daemon: what is asked of it is asked, in
//! the same order, of the one that has. What its watches see comes back the same way.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::mem::take;
use core::pin::Pin;
use core::task::{Context, Poll};

use exec::{Answer, Latest, Mailbox};
use xen_abi::io::xs_wire::kind;

use crate::changes::Changes;
use crate::client::{Client, Purpose, Request, TransactionId, transaction_id};
use crate::connection::IN_FLIGHT;
use crate::error::{ProtocolError, StoreError};
use crate::shared::{self, Seen};
use crate::store::Store;
use crate::watch::WatchState;

/// What is asked on the other side.
struct Remote {
    client: Rc<Client>,
    mailbox: Mailbox<Store>,
    asked: Vec<(Rc<Request>, Answer<Reply>)>,
    feeds: BTreeMap<u32, Feed>,
}

/// The daemon's answer, and which connection of the other side's it came by.
pub(crate) struct Reply {
    pub(crate) answer: Result<Vec<u8>, StoreError>,
    pub(crate) connection: u32,
}

/// A watch of the other side's for one of this.
struct Feed {
    watch: Rc<WatchState>,
    /// What registers it, until it is.
    request: Option<Rc<Request>>,
    latest: Latest<Seen>,
    /// Ends with why nothing more is seen. Dropping it takes the watch back.
    end: Answer<StoreError>,
}

/// Serves the store until it is lost for good.
pub(crate) async fn run(client: Rc<Client>, mailbox: Mailbox<Store>) {
    let mut remote = Remote {
        client,
        mailbox,
        asked: Vec::with_capacity(IN_FLIGHT),
        feeds: BTreeMap::new(),
    };
    let lost = poll_fn(|context| remote.poll(context)).await;
    let in_flight = take(&mut remote.asked).into_iter();
    remote
        .client
        .lose(lost, in_flight.map(|(request, _)| request));
}

impl Remote {
    /// Ready when the store is lost.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ProtocolError> {
        loop {
            // The other side sees to it that nothing of a former life is answered.
            let _known_there = self.client.hold.take_anew();
            self.ask();
            let before = self.asked.len();
            let answered = self.take_answers(context);
            if let Err(lost) = answered.and_then(|()| self.take_seen(context)) {
                return Poll::Ready(lost);
            }
            // A transaction may have to wait for others that are held as well; what becomes of it
            // is for the other side to see to.
            let mut asked = self.asked.iter();
            let is_quiet = asked.all(|(request, _)| request.kind == kind::TRANSACTION_START);
            self.client.hold.note(is_quiet);
            // There may be more to ask where there is room again.
            let room = self.asked.len() < before;
            if self.client.work.poll_notified(context).is_pending() && !room {
                return Poll::Pending;
            }
        }
    }

    /// Sends what there is to send.
    fn ask(&mut self) {
        while self.asked.len() < IN_FLIGHT
            && let Some(request) = self.client.next_request()
        {
            match &request.purpose {
                Purpose::Caller | Purpose::Abort => {
                    let (kind, transaction) = (request.kind, request.transaction);
                    let payload = request.payload.clone();
                    let answer = self.mailbox.ask(move |store: &Store| {
                        let store = store.clone();
                        async move { store.relay(kind, transaction, payload).await }
                    });
                    self.asked.push((request, answer));
                }
                Purpose::Watch(watch) => {
                    let feed = Feed::begin(&self.mailbox, watch, &request);
                    self.feeds.insert(watch.token, feed);
                }
                Purpose::Unwatch(watch) => {
                    self.feeds.remove(&watch.token);
                    self.client.complete(&request, Ok(Vec::new()));
                }
            }
        }
    }

    fn take_answers(&mut self, context: &mut Context<'_>) -> Result<(), ProtocolError> {
        let mut index = 0;
        while let Some((_, answer)) = self.asked.get_mut(index) {
            let Poll::Ready(reply) = Pin::new(answer).poll(context) else {
                index += 1;
                continue;
            };
            // Others may have been asked later and not be answered yet.
            let (request, _) = self.asked.remove(index);
            let Some(Reply { answer, connection }) = reply else {
                self.client.complete(&request, Err(StoreError::BadReply));
                continue;
            };
            self.client.set_connection(connection);
            let lost = match answer {
                Err(StoreError::Lost(lost)) => Some(lost),
                _ => None,
            };
            self.client.complete(&request, answer);
            if let Some(lost) = lost {
                return Err(lost);
            }
        }
        Ok(())
    }

    fn take_seen(&mut self, context: &mut Context<'_>) -> Result<(), ProtocolError> {
        let Self { client, feeds, .. } = self;
        let mut ended = Vec::new();
        for (token, feed) in feeds.iter_mut() {
            let (registered, changes) = feed.take(context);
            if registered && let Some(request) = feed.request.take() {
                client.complete(&request, Ok(Vec::new()));
            }
            if !changes.is_none() {
                client.seen(&feed.watch, changes);
            }
            if let Poll::Ready(end) = Pin::new(&mut feed.end).poll(context) {
                ended.push((*token, end.unwrap_or(StoreError::BadReply)));
            }
        }
        for (token, why) in ended {
            let Some(feed) = feeds.remove(&token) else {
                continue;
            };
            match (why, feed.request) {
                (StoreError::Lost(lost), _) => return Err(lost),
                (why, Some(request)) => client.complete(&request, Err(why)),
                (why, None) => client.fail_watch(&feed.watch, why),
            }
        }
        Ok(())
    }
}

impl Feed {
    fn begin(mailbox: &Mailbox<Store>, watch: &Rc<WatchState>, request: &Rc<Request>) -> Self {
        let latest = Latest::new(Seen::default());
        let (path, depth, told) = (String::from(watch.path()), watch.depth(), latest.clone());
        let end = mailbox.ask(move |store: &Store| shared::read(store.clone(), path, depth, told));
        Self {
            watch: watch.clone(),
            request: Some(request.clone()),
            latest,
            end,
        }
    }

    /// Whether the watch is registered, and what it saw.
    fn take(&self, context: &mut Context<'_>) -> (bool, Changes) {
        // Again, so that the next change is heard.
        while self.latest.poll_told(context).is_ready() {}
        self.latest
            .with(|seen| (seen.registered, take(&mut seen.changes)))
    }
}

impl Store {
    /// Asks for one of another run loop's, and says by which connection.
    async fn relay(self, kind: u32, transaction: Option<TransactionId>, payload: Vec<u8>) -> Reply {
        let client = self.client();
        // There are so many for all run loops together.
        let admitted = match kind {
            kind::TRANSACTION_START => Some(client.admission.admit().await),
            _ => None,
        };
        let (answer, connection) = client.ask_noting(kind, transaction, payload).await;
        match (&answer, admitted, transaction) {
            (Ok(payload), Some(admitted), _) => {
                if let Some(id) = transaction_id(payload) {
                    client.admit_relayed(TransactionId { id, connection }, admitted);
                }
            }
            (_, _, Some(transaction)) if kind == kind::TRANSACTION_END => {
                client.end_relayed(transaction);
            }
            _ => {}
        }
        Reply { answer, connection }
    }
}
