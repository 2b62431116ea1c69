//! All exports of the domain.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::{error, info, warn};
use geom::Geom;
use hv::{DomId, Hypervisor, Instant};
use iobuf::Copies;
use pv::Pv;
use xenbus::state::XenbusState;
use xenbus::{BackendBus, BackendEvent, BackendRelease, Store, StoreError};

use crate::export::Export;
use crate::former::Formers;
use crate::share::Sharing;
use crate::signals::Signals;
use crate::statistics::Statistics;
use crate::target::Declarations;

/// The pause before a store that did not let the exports be watched is asked again.
const AGAIN: Duration = Duration::from_secs(10);
/// How often a dying domain sends its clients an event for nothing.
const NUDGE: Duration = Duration::from_millis(20);
/// How often it is looked whether all exports are closed.
const CLOSED_LOOK: Duration = Duration::from_millis(10);

/// The block backend: one task for the bus and one for each export. A handle; clones speak for the
/// same one.
pub struct Blkback<H: Hypervisor>(Rc<Inner<H>>);

impl<H: Hypervisor> Clone for Blkback<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<H: Hypervisor> {
    pv: Pv<H>,
    store: Store,
    geom: Geom,
    copies: Copies<H>,
    sharing: Rc<Sharing>,
    declarations: Rc<Declarations>,
    exports: RefCell<BTreeMap<(DomId, u32), Rc<Signals>>>,
    /// The domain wants to end: what comes now is not served.
    closing: Cell<bool>,
    /// Connections that have ended.
    formers: Formers<H>,
    /// When a dying domain has sent its clients an event for nothing.
    nudged: Cell<Instant>,
}

/// An export as the shell shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportUse {
    /// The domain that uses it.
    pub frontend: DomId,
    /// The device's number there.
    pub device: u32,
    /// What is exported; empty as long as that is not known.
    pub provider: String,
    /// The frontend may not write.
    pub read_only: bool,
    /// The state of this end.
    pub state: XenbusState,
    /// What it has done.
    pub statistics: Statistics,
}

impl<H: Hypervisor> Blkback<H> {
    /// Starts serving every export there is and every one that comes, of what `declarations` allow.
    /// To be called once per domain.
    pub fn start(pv: &Pv<H>, store: &Store, geom: &Geom, declarations: Declarations) -> Self {
        if declarations.are_there() {
            info!(pv.log, "blkback", "nothing is exported but: {declarations}");
        }
        let this = Self(Rc::new(Inner {
            pv: pv.clone(),
            store: store.clone(),
            geom: geom.clone(),
            copies: Copies::new(pv.hv.clone()),
            sharing: Rc::default(),
            declarations: Rc::new(declarations),
            exports: RefCell::default(),
            closing: Cell::new(false),
            formers: Formers::default(),
            nudged: Cell::new(Instant(0)),
        }));
        let bus = this.clone();
        pv.exec.spawn("blkback", async move {
            if let Err(failure) = bus.run().await {
                error!(bus.0.pv.log, "blkback", "no more exports: {failure}");
            }
        });
        this
    }

    /// What Xen is still to copy for exports: whoever changes a page that they may be about has it
    /// copied first.
    #[must_use]
    pub fn copies(&self) -> Copies<H> {
        self.0.copies.clone()
    }

    /// The exports, in the order of their domains and devices.
    #[must_use]
    pub fn exports(&self) -> Vec<ExportUse> {
        let exports = self.0.exports.borrow();
        let used = exports.values().map(|signals| ExportUse {
            frontend: signals.frontend,
            device: signals.device,
            provider: signals.provider.borrow().clone(),
            read_only: signals.read_only.get(),
            state: signals.state.get(),
            statistics: *signals.statistics.borrow(),
        });
        used.collect()
    }

    /// Whether a client may have requests that it waits for, now or soon.
    #[must_use]
    pub fn has_clients(&self) -> bool {
        let exports = self.0.exports.borrow();
        let connected = |signals: &Rc<Signals>| {
            matches!(
                signals.state.get(),
                XenbusState::Connected | XenbusState::Closing
            )
        };
        exports.values().any(connected) || self.0.formers.any_is_loud()
    }

    /// Has every frontend told to close, and serves them until they have: a Linux client with a
    /// request on a domain that is gone waits for ever, and its host with it. Frontends that do not
    /// close are let go of after 5 s. Nothing is exported afterwards.
    pub async fn close(&self) {
        self.0.closing.set(true);
        let exports: Vec<_> = self.0.exports.borrow().values().cloned().collect();
        for signals in &exports {
            signals.close();
        }
        let open = |signals: &Rc<Signals>| {
            !signals.closed.get() && signals.state.get() != XenbusState::Closed
        };
        // One that says that it is Closed may still have requests queued, if it is Linux.
        while exports.iter().any(open) || self.0.formers.any_is_loud() {
            self.0.pv.exec.sleep(CLOSED_LOOK).await;
        }
    }

    /// The domain dies by a panic or an exception, wherever that was: answers with an error
    /// whatever frontends asked for, as far as that can still be done; says whether there was
    /// anything. Waits for nothing. Nothing else may be called afterwards but this again: a client
    /// that is answered may ask for more.
    pub fn last_words(&self) -> bool {
        let mut any = self.0.formers.last_words();
        // What dies may be whoever puts an export among them or takes it away.
        if let Ok(exports) = self.0.exports.try_borrow() {
            for signals in exports.values() {
                any |= signals.last_words();
            }
        }
        any
    }

    /// The domain dies, as for [`last_words`](Self::last_words): tells every frontend that is
    /// connected to close, so that it asks for nothing once nobody is left to answer; says whether
    /// there is any, for it takes its time to hear of it and is to be answered meanwhile.
    pub fn close_last(&self) -> bool {
        let Ok(exports) = self.0.exports.try_borrow() else {
            return false;
        };
        // Linux stops its queues when it closes, and starts them at an event: what waits in them
        // is then put into the ring.
        let now = self.0.pv.hv.now();
        let nudge = now.since(self.0.nudged.get()) >= NUDGE;
        if nudge {
            self.0.nudged.set(now);
        }
        let (mut any, mut sends) = (false, true);
        for signals in exports.values() {
            if signals.is_connected(nudge) {
                any = true;
                // Where there is no room for the whole of a message, no other may begin.
                sends = sends && signals.close_last(&self.0.store);
            }
        }
        any
    }

    async fn run(&self) -> Result<(), StoreError> {
        let mut bus = self.open().await?;
        let release = bus.release();
        loop {
            match bus.next().await? {
                BackendEvent::Added(domain, device) => {
                    let routes = bus.routes();
                    self.add((domain, device), routes, release.clone());
                }
                BackendEvent::Removed(domain, device) => {
                    if let Some(signals) = self.0.exports.borrow().get(&(domain, device)) {
                        signals.remove();
                    }
                }
            }
        }
    }

    /// Watches the exports. A store that refuses is asked again until it does not.
    async fn open(&self) -> Result<BackendBus, StoreError> {
        loop {
            match BackendBus::open(&self.0.store, "vbd").await {
                Ok(bus) => return Ok(bus),
                Err(lost @ StoreError::Lost(_)) => return Err(lost),
                Err(error) => warn!(self.0.pv.log, "blkback", "exports are not known: {error}"),
            }
            self.0.pv.exec.sleep(AGAIN).await;
        }
    }

    fn add(
        &self,
        (domain, device): (DomId, u32),
        routes: xenbus::routes::BackendRoutes,
        release: BackendRelease,
    ) {
        let signals = Rc::new(Signals::new(domain, device));
        if self.0.closing.get() {
            signals.close();
        }
        // The bus announces an export again only when its task has released it, so there is none
        // with this number but one that is leaving.
        let mut exports = self.0.exports.borrow_mut();
        exports.insert((domain, device), signals.clone());
        drop(exports);
        let export = Export {
            pv: self.0.pv.clone(),
            geom: self.0.geom.clone(),
            copies: self.0.copies.clone(),
            sharing: self.0.sharing.clone(),
            declarations: self.0.declarations.clone(),
            signals: signals.clone(),
            formers: self.0.formers.clone(),
            name: format!("blkback {domain}/{device}"),
        };
        let this = self.clone();
        self.0.pv.exec.spawn("export", async move {
            export.run(&this.0.store, &routes).await;
            this.forget(&signals, &release);
        });
    }

    /// Forgets an export, unless another one with the same number is there already.
    fn forget(&self, signals: &Rc<Signals>, release: &BackendRelease) {
        let key = (signals.frontend, signals.device);
        let mut exports = self.0.exports.borrow_mut();
        let known = exports.get(&key);
        if known.is_some_and(|known| Rc::ptr_eq(known, signals)) {
            exports.remove(&key);
            release.release(key.0, key.1);
        }
    }
}

#[cfg(test)]
mod tests;
