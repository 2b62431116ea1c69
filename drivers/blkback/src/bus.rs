//! All exports of the domain.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::pin::pin;
use core::time::Duration;

use exec::{Notify, error, info, warn};
use futures_util::future::select;
use geom::Geom;
use hv::{DomId, Hypervisor, Instant};
use iobuf::Copies;
use pv::Pv;
use xenbus::routes::BackendRoutes;
use xenbus::state::XenbusState;
use xenbus::{BackendBus, BackendEvent, BackendRelease, Store, StoreError};

use crate::claim::{Claim, Claims, Ours};
use crate::export::{Ending, Export};
use crate::former::Formers;
use crate::listed::Listed;
use crate::medium::Providers;
use crate::share::Sharing;
use crate::signals::Signals;
use crate::statistics::Statistics;
use crate::target::{Declarations, Target};

/// The pause before a store that did not let the exports be watched is asked again.
const AGAIN: Duration = Duration::from_secs(10);
/// The pause before a node that the store did not tell is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether another run loop has let go of an export.
const CLAIM_LOOK: Duration = Duration::from_millis(250);
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
    providers: Providers,
    /// Where others of the same domain serve exports too: which are served here.
    ours: Option<Rc<Ours>>,
    claims: Claims,
    /// Exports that others serve, as they said last.
    elsewhere: RefCell<BTreeMap<u32, Vec<ExportUse>>>,
    copies: Copies<H>,
    sharing: Rc<Sharing>,
    declarations: Rc<Declarations>,
    exports: Listed<Signals>,
    /// One more was added to them.
    added: Notify,
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

impl ExportUse {
    /// Whether its client is connected, and may have requests that it waits for.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        is_in_use(self.state)
    }
}

fn is_in_use(state: XenbusState) -> bool {
    matches!(state, XenbusState::Connected | XenbusState::Closing)
}

impl<H: Hypervisor> Blkback<H> {
    /// Starts serving every export there is and every one that comes, of what `declarations` allow.
    /// To be called once per domain.
    pub fn start(pv: &Pv<H>, store: &Store, geom: &Geom, declarations: Declarations) -> Self {
        let providers = Providers::Here(geom.clone());
        Self::begin(pv, store, providers, declarations, None)
    }

    /// As [`start`](Self::start), where others of the same domain, in other run loops, serve what
    /// is not `ours`. That is asked of the provider's name, or of `None` where the toolstack's
    /// nodes name none that may be exported; for each of them it is true in exactly one run loop.
    /// `claims` are the same in all of them. To be called once per run loop.
    pub fn start_share(
        pv: &Pv<H>,
        store: &Store,
        providers: Providers,
        declarations: Declarations,
        (claims, ours): (Claims, impl Fn(Option<&str>) -> bool + 'static),
    ) -> Self {
        let shared = Some((claims, Rc::new(ours) as Rc<Ours>));
        Self::begin(pv, store, providers, declarations, shared)
    }

    fn begin(
        pv: &Pv<H>,
        store: &Store,
        providers: Providers,
        declarations: Declarations,
        shared: Option<(Claims, Rc<Ours>)>,
    ) -> Self {
        let (claims, ours) = shared.unzip();
        let claims = claims.unwrap_or_default();
        let is_first = ours.as_ref().is_none_or(|ours| ours(None));
        if is_first && declarations.are_there() {
            info!(pv.log, "blkback", "nothing is exported but: {declarations}");
        }
        let this = Self(Rc::new(Inner {
            pv: pv.clone(),
            store: store.clone(),
            providers,
            ours,
            claims: claims.clone(),
            elsewhere: RefCell::default(),
            copies: Copies::new(pv.hv.clone()),
            sharing: Rc::default(),
            declarations: Rc::new(declarations),
            exports: Listed::default(),
            added: Notify::new(),
            closing: Cell::new(false),
            formers: Formers::new(claims),
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

    /// Says which exports another run loop's serves, which has this number.
    pub fn set_elsewhere(&self, number: u32, exports: Vec<ExportUse>) {
        self.0.elsewhere.borrow_mut().insert(number, exports);
    }

    /// The exports, in the order of their domains and devices, also those that are served
    /// elsewhere, as was said of them last.
    #[must_use]
    pub fn exports(&self) -> Vec<ExportUse> {
        let mut all = self.own_exports();
        all.extend(self.0.elsewhere.borrow().values().flatten().cloned());
        all.sort_by_key(|export| (export.frontend, export.device));
        all
    }

    /// Waits until another export is served here since the last wait. For one waiting task.
    pub async fn added(&self) {
        self.0.added.notified().await;
    }

    /// Those of them that are served here.
    #[must_use]
    pub fn own_exports(&self) -> Vec<ExportUse> {
        let exports = self.0.exports.all();
        let exports = exports.iter().map(|(_, signals)| signals);
        let ours = exports.filter(|signals| signals.ours.get());
        let used = ours.map(|signals| ExportUse {
            frontend: signals.frontend,
            device: signals.device,
            provider: signals.provider.borrow().clone(),
            read_only: signals.read_only.get(),
            state: signals.state.get(),
            statistics: *signals.statistics.borrow(),
        });
        used.collect()
    }

    /// Whether a client of one of [those](Self::own_exports) may have requests that it waits for,
    /// now or soon.
    #[must_use]
    pub fn has_clients(&self) -> bool {
        let exports = self.0.exports.all();
        let mut exports = exports.iter().map(|(_, signals)| signals);
        exports.any(|signals| is_in_use(signals.state.get())) || self.0.formers.any_is_loud()
    }

    /// Has every frontend told to close, and serves them until they have: a Linux client with a
    /// request on a domain that is gone waits for ever, and its host with it. Frontends that do not
    /// close are let go of after 5 s. Nothing is exported afterwards.
    pub async fn close(&self) {
        self.0.closing.set(true);
        let exports = self.0.exports.all();
        for (_, signals) in exports.iter() {
            signals.close();
        }
        let ours = exports.iter().filter(|(_, signals)| signals.ours.get());
        let ours: Vec<_> = ours.map(|(_, signals)| signals).collect();
        let open = |signals: &&Rc<Signals>| {
            !signals.closed.get() && signals.state.get() != XenbusState::Closed
        };
        // One that says that it is Closed may still have requests queued, if it is Linux.
        while ours.iter().any(open) || self.0.formers.any_is_loud() {
            self.0.pv.exec.sleep(CLOSED_LOOK).await;
        }
    }

    /// The domain dies by a panic or an exception, wherever that was: answers with an error
    /// whatever frontends asked for, as far as that can still be done; says whether there was
    /// anything. Waits for nothing. Nothing else may be called afterwards but this again: a client
    /// that is answered may ask for more.
    pub fn last_words(&self) -> bool {
        let mut any = self.0.formers.last_words();
        for (_, signals) in self.0.exports.last().iter().flat_map(|list| list.iter()) {
            any |= signals.last_words();
        }
        any
    }

    /// The domain dies, as for [`last_words`](Self::last_words): tells every frontend that is
    /// connected to close, so that it asks for nothing once nobody is left to answer; says whether
    /// there is any, for it takes its time to hear of it and is to be answered meanwhile.
    /// `store` is that of the run loop that has the connection.
    pub fn close_last(&self, store: &Store) -> bool {
        let Some(exports) = self.0.exports.last() else {
            return false;
        };
        // Linux stops its queues when it closes, and starts them at an event: what waits in them
        // is then put into the ring.
        let now = self.0.pv.hv.now();
        let nudge = now.since(self.0.nudged.get()) >= NUDGE;
        if nudge {
            self.0.nudged.set(now);
        }
        let mut any = false;
        for (_, signals) in exports.iter() {
            let is_connected = signals.is_connected(nudge);
            any |= is_connected;
            if is_connected || signals.closing_last.is_begun() {
                // What is not said now is said in the next round.
                let _said = store.write_last(&signals.closing_last);
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
                    if let Some(signals) = self.0.exports.get((domain, device)) {
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

    fn add(&self, (domain, device): (DomId, u32), routes: BackendRoutes, release: BackendRelease) {
        let signals = Rc::new(Signals::new(domain, device));
        if self.0.closing.get() {
            signals.close();
        }
        // The bus announces an export again only when its task has released it, so there is none
        // with this number but one that is leaving.
        self.0.exports.insert((domain, device), signals.clone());
        let export = Export {
            pv: self.0.pv.clone(),
            providers: self.0.providers.clone(),
            copies: self.0.copies.clone(),
            sharing: self.0.sharing.clone(),
            declarations: self.0.declarations.clone(),
            ours: self.0.ours.clone(),
            signals: signals.clone(),
            formers: self.0.formers.clone(),
            name: format!("blkback {domain}/{device}"),
        };
        let this = self.clone();
        self.0.pv.exec.spawn("export", async move {
            let mut claim = this.becomes_ours(&signals, &routes).await;
            while claim.is_some() {
                signals.ours.set(true);
                this.0.added.notify();
                if export.run(&this.0.store, &routes).await == Ending::Removed {
                    break;
                }
                signals.ours.set(false);
                drop(claim.take());
                claim = this.becomes_ours(&signals, &routes).await;
            }
            this.forget(&signals, &release);
            drop(claim);
        });
    }

    /// Waits until the export is to be served here, and nobody else does; `None` if it is removed
    /// before.
    async fn becomes_ours(&self, signals: &Signals, routes: &BackendRoutes) -> Option<Claim> {
        let key = (signals.frontend, signals.device);
        let listener = routes.listen(signals.frontend, signals.device);
        while !signals.removed.get() {
            let is_ours = match &self.0.ours {
                None => Ok(true),
                Some(ours) => {
                    let provider = self.provider_of(signals).await;
                    provider.map(|provider| ours(provider.as_deref()))
                }
            };
            match is_ours {
                Ok(true) => match self.0.claims.serve(key) {
                    None => self.0.pv.exec.sleep(CLAIM_LOOK).await,
                    claim => return claim,
                },
                Ok(false) | Err(StoreError::NoEntry) => {
                    // It may be made anew, of another provider, without being announced again.
                    let (changed, told) =
                        (pin!(listener.changed()), pin!(signals.changed.notified()));
                    select(changed, told).await;
                }
                Err(StoreError::Lost(_)) => return None,
                // Another one decides by the same node, so it is asked for until it is known.
                Err(_not_now) => self.0.pv.exec.sleep(ASK_AGAIN).await,
            }
        }
        None
    }

    /// The provider that the toolstack wants exported; `None` if its nodes name none, or cannot be
    /// read. What is wrong with them is for whoever serves what is not known to say.
    ///
    /// # Errors
    /// [`StoreError::NoEntry`] when the export is gone. Else the store does not tell now.
    async fn provider_of(&self, signals: &Signals) -> Result<Option<String>, StoreError> {
        let Signals {
            frontend, device, ..
        } = signals;
        let path = format!("backend/vbd/{frontend}/{device}");
        let node = format!("{path}/params");
        let params = match self.0.store.read(&node).await {
            // Both at once, for it may be on its way out, and be made anew at any moment.
            Err(StoreError::NoEntry) => {
                let looked =
                    self.0
                        .store
                        .transaction(async |store: &Store| match store.read(&node).await {
                            Err(StoreError::NoEntry) => store.list(&path).await.map(|_| None),
                            params => params.map(Some),
                        });
                looked.await?
            }
            Err(
                not_now @ (StoreError::Again
                | StoreError::Quota
                | StoreError::TimedOut
                | StoreError::Lost(_)),
            ) => return Err(not_now),
            params => params.ok(),
        };
        let asked = params.and_then(|params| Target::parse(&params).ok());
        let target = asked.and_then(|asked| self.0.declarations.resolve(asked).ok());
        Ok(target.map(|target| target.provider))
    }

    /// Forgets an export, unless another one with the same number is there already.
    fn forget(&self, signals: &Rc<Signals>, release: &BackendRelease) {
        let key = (signals.frontend, signals.device);
        if self.0.exports.has(key, signals) {
            self.0.exports.remove(key);
            release.release(key.0, key.1);
        }
    }
}

#[cfg(test)]
mod tests;
