//! Watches that serve several run loops: the daemon lets a domain have 128, however many vCPUs it
//! has, and most of them watch the same nodes.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::pin::pin;

use exec::{Latest, Notify};
use futures_util::future::{Either, select};

use crate::changes::Changes;
use crate::error::StoreError;
use crate::store::Store;

/// What is watched: a path, and how far down nodes are told apart.
type Node = (String, usize);

/// What a watch saw that its reader has not taken yet.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) registered: bool,
    pub(crate) changes: Changes,
}

/// The watches that others read, by what they watch.
#[derive(Default)]
pub(crate) struct SharedWatches(RefCell<BTreeMap<Node, Rc<Shared>>>);

#[derive(Default)]
struct Shared {
    registered: Cell<bool>,
    readers: RefCell<Vec<Rc<Reader>>>,
    /// The last reader may have left.
    left: Notify,
}

struct Reader {
    latest: Latest<Seen>,
    end: Cell<Option<StoreError>>,
    ended: Notify,
}

/// A reader's part in a watch; dropping it ends that.
struct Part {
    shared: Rc<Shared>,
    reader: Rc<Reader>,
}

/// Tells what a watch on `path` sees, as the daemon tells of a new one, until it sees no more.
pub(crate) async fn read(
    store: Store,
    path: String,
    depth: usize,
    latest: Latest<Seen>,
) -> StoreError {
    let part = join(&store, (path, depth), latest);
    loop {
        if let Some(why) = part.reader.end.get() {
            return why;
        }
        part.reader.ended.notified().await;
    }
}

fn join(store: &Store, node: Node, latest: Latest<Seen>) -> Part {
    let mut watches = store.client().shared_watches.0.borrow_mut();
    let shared = watches.entry(node.clone()).or_insert_with(|| {
        let shared = Rc::<Shared>::default();
        let watching = watch(store.clone(), node, shared.clone());
        store.exec().spawn("shared watch", watching);
        shared
    });
    if shared.registered.get() {
        latest.tell(|seen| {
            seen.registered = true;
            seen.changes = Changes::Everything;
        });
    }
    let reader = Rc::new(Reader {
        latest,
        end: Cell::new(None),
        ended: Notify::new(),
    });
    shared.readers.borrow_mut().push(reader.clone());
    Part {
        shared: shared.clone(),
        reader,
    }
}

/// Watches for all readers, as long as there are any.
async fn watch(store: Store, node: Node, shared: Rc<Shared>) {
    let end = watch_on(&store, &node, &shared).await;
    // From here on nobody joins this one.
    store.client().shared_watches.0.borrow_mut().remove(&node);
    for reader in shared.readers.take() {
        reader.end.set(end);
        reader.ended.notify();
    }
}

/// `None` when the last reader has left.
async fn watch_on(store: &Store, (path, depth): &Node, shared: &Shared) -> Option<StoreError> {
    let watch = match store.watch_tree(path, *depth).await {
        Ok(watch) => watch,
        Err(why) => return Some(why),
    };
    shared.registered.set(true);
    shared.tell(|seen| seen.registered = true);
    loop {
        let (changed, left) = (pin!(watch.changed()), pin!(shared.left.notified()));
        match select(changed, left).await {
            Either::Left((Ok(changes), _)) => shared.tell(|seen| seen.changes.add(&changes)),
            Either::Left((Err(why), _)) => return Some(why),
            Either::Right(_) if shared.readers.borrow().is_empty() => return None,
            Either::Right(_) => {}
        }
    }
}

impl Shared {
    fn tell(&self, change: impl Fn(&mut Seen)) {
        for reader in &*self.readers.borrow() {
            reader.latest.tell(&change);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut readers = self.shared.readers.borrow_mut();
        readers.retain(|other| !Rc::ptr_eq(other, &self.reader));
        drop(readers);
        self.shared.left.notify();
    }
}
