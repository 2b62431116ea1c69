//! Exports that come and go, and who hears of changes at their two ends.
//!
//! The daemon lets a guest have 128 watches, so there is none for each device: there is one on all
//! own directories, and one on each domain that has a frontend (case X06).

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::mem::take;
use core::task::Poll;
use core::time::Duration;

use exec::Level;
use hv::{DomId, Instant};

use crate::changes::Changes;
use crate::device::{DEVICES, FIRST_PAUSE, LONGEST_PAUSE, OddNames, Phase, Released};
use crate::error::StoreError;
use crate::frontends::Frontends;
use crate::routes::BackendRoutes;
use crate::state::XenbusState;
use crate::store::Store;
use crate::watch::TreeWatch;
use crate::{key, number, path};

/// What happened to an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendEvent {
    /// The device of that domain is there to be served. It may be in any state.
    Added(DomId, u32),
    /// Its nodes on this side are gone.
    Removed(DomId, u32),
}

/// The exports of one kind: what lies below the own `backend/KIND`, a directory for each domain
/// and in it one for each device.
///
/// Somebody must be waiting in [`next`](Self::next) all the while: that is also where the backends
/// are told of changes.
pub struct BackendBus {
    store: Store,
    path: String,
    watch: TreeWatch,
    known: BTreeMap<(DomId, u32), Phase>,
    /// Names that are no domain's.
    odd: OddNames,
    /// Names that are no device's of these domains.
    odd_devices: BTreeMap<DomId, OddNames>,
    events: VecDeque<BackendEvent>,
    released: Rc<Released<(DomId, u32)>>,
    frontends: Frontends,
    routes: BackendRoutes,
    /// What changed since the last look at it that succeeded.
    stale: Stale,
    /// What the store refused to show, to be looked at again then.
    refused: Stale,
    again: Instant,
    pause: Duration,
    /// There are devices that are not announced because there are too many.
    full: bool,
}

/// Directories to look at.
#[derive(Default)]
struct Stale {
    /// Which domains there are.
    all: bool,
    /// Which devices these domains have.
    domains: BTreeSet<DomId>,
}

impl Stale {
    fn is_empty(&self) -> bool {
        !self.all && self.domains.is_empty()
    }
}

/// Tells the bus that a device's driver is done with it.
#[derive(Clone)]
pub struct BackendRelease(Rc<Released<(DomId, u32)>>);

impl BackendRelease {
    /// The driver of `device` of `domain` is done. If the toolstack makes the device anew, or has
    /// already, it is announced again.
    pub fn release(&self, domain: DomId, device: u32) {
        self.0.add((domain, device));
    }
}

impl BackendBus {
    /// Watches the exports of `kind`, `vbd` for example. There need be none yet.
    ///
    /// # Errors
    /// As [`Store::watch`].
    pub async fn open(store: &Store, kind: &str) -> Result<Self, StoreError> {
        let path = format!("backend/{kind}");
        let watch = store.watch_tree(&path, 2).await?;
        let routes = BackendRoutes::default();
        Ok(Self {
            store: store.clone(),
            path,
            watch,
            known: BTreeMap::new(),
            odd: OddNames::default(),
            odd_devices: BTreeMap::new(),
            events: VecDeque::new(),
            released: Rc::default(),
            frontends: Frontends::new(store, kind, &routes),
            routes,
            stale: Stale {
                all: true,
                domains: BTreeSet::new(),
            },
            refused: Stale::default(),
            again: store.exec().now(),
            pause: FIRST_PAUSE,
            full: false,
        })
    }

    /// What drivers tell the bus with.
    #[must_use]
    pub fn release(&self) -> BackendRelease {
        BackendRelease(self.released.clone())
    }

    /// What a [`Backend`](crate::Backend) hears of changes by.
    #[must_use]
    pub fn routes(&self) -> BackendRoutes {
        self.routes.clone()
    }

    /// Waits for the next device to come or go, and tells the backends of changes meanwhile. A
    /// device that goes and comes back quickly may not be seen to go; its driver sees it, and after
    /// [`BackendRelease::release`] it is announced again. A wait that is dropped loses nothing.
    ///
    /// Directories that this domain may not list count as empty. A store that refuses to tell for
    /// another reason is asked again later. When it refuses the watch on a domain's frontends,
    /// their backends look once a second instead, and the log says so.
    ///
    /// # Errors
    /// The store is lost, or does not watch any more. Every later call fails too.
    pub async fn next(&mut self) -> Result<BackendEvent, StoreError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                if let BackendEvent::Added(domain, device) = event {
                    // What has been released until now is the one before, which left while this
                    // one was being looked at.
                    self.released.forget(&(domain, device));
                }
                return Ok(event);
            }
            self.hear()?;
            if self.stale.is_empty() {
                self.wait().await;
            } else {
                self.look().await?;
            }
        }
    }

    /// Takes note of what changed and passes it on.
    fn hear(&mut self) -> Result<(), StoreError> {
        if let Err(error) = self.watch.check() {
            self.routes.close();
            return Err(error);
        }
        let mut heard = self.frontends.hear();
        if let Some(changes) = self.watch.take() {
            heard = true;
            self.hear_own(&changes);
        }
        if heard {
            self.routes.tell_unwatched();
        }
        for key in self.released.take() {
            if let Some(phase) = self.known.get_mut(&key) {
                *phase = Phase::Released;
                self.stale.domains.insert(key.0);
            }
        }
        Ok(())
    }

    fn hear_own(&mut self, changes: &Changes) {
        let Changes::Below(places) = changes else {
            self.stale.all = true;
            self.routes.tell(|_, _| true);
            return;
        };
        for place in places {
            let (domain, device) = match place.split_once('/') {
                Some((domain, device)) => (domain, Some(device)),
                None => (place.as_str(), None),
            };
            let Some(domain) = path::domain(domain) else {
                self.stale.all = true;
                continue;
            };
            self.stale.domains.insert(domain);
            let device = device.map(number::parse::<u32>);
            self.routes.tell(|frontend, number| {
                frontend == domain && device.is_none_or(|device| device == Ok(number))
            });
        }
    }

    /// Waits until there is something to hear, or something refused to be asked for again.
    async fn wait(&mut self) {
        let heard = poll_fn(|context| {
            let mut heard = self.watch.poll_changed(context).is_ready();
            heard |= self.frontends.poll_changed(context);
            heard |= self.released.poll_some(context).is_ready();
            if heard {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        if self.refused.is_empty() {
            heard.await;
            return;
        }
        let exec = self.store.exec();
        let left = self.again.since(exec.now());
        if exec.timeout(left, heard).await.is_err() {
            self.stale = take(&mut self.refused);
        }
    }

    /// Looks at one directory that changed.
    async fn look(&mut self) -> Result<(), StoreError> {
        let looked = if self.stale.all {
            let looked = self.look_at_all().await;
            self.stale.all = false;
            self.refused.all |= looked.is_err();
            looked
        } else if let Some(domain) = self.stale.domains.first().copied() {
            let looked = self.look_at(domain).await;
            self.stale.domains.remove(&domain);
            if looked.is_err() {
                self.refused.domains.insert(domain);
            }
            looked
        } else {
            Ok(())
        };
        match looked {
            Ok(()) if self.stale.is_empty() && self.refused.is_empty() => self.pause = FIRST_PAUSE,
            Ok(()) => {}
            Err(error @ StoreError::Lost(_)) => {
                self.routes.close();
                return Err(error);
            }
            Err(error) => {
                let text = format_args!("{}: {error}", self.path);
                self.store.log().limited(Level::Warn, "xenbus", text);
                self.again = self.store.exec().now().after(self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
        Ok(())
    }

    /// Looks which domains there are.
    async fn look_at_all(&mut self) -> Result<(), StoreError> {
        let names = children(&self.store, &self.path).await?;
        let wanted = "a domain's number";
        let domains = self
            .odd
            .numbers(&self.store, &self.path, wanted, names, path::domain);
        self.stale.domains.extend(domains);
        let known = self.known.keys().map(|(domain, _)| domain);
        self.stale
            .domains
            .extend(known.chain(self.odd_devices.keys()));
        Ok(())
    }

    /// Looks which devices a domain has.
    async fn look_at(&mut self, domain: DomId) -> Result<(), StoreError> {
        let path = format!("{}/{domain}", self.path);
        let names = children(&self.store, &path).await?;
        let odd = self.odd_devices.entry(domain).or_default();
        let number = |name: &str| number::parse(name).ok();
        let wanted = "a device's number";
        let present = odd.numbers(&self.store, &path, wanted, names, number);
        if odd.is_empty() {
            self.odd_devices.remove(&domain);
        }
        self.take_leave(domain, &present);
        if !present.is_empty() {
            self.frontends.watch(domain).await?;
        } else if self.frontends.unwatch(domain) {
            // Others may have waited for the watch.
            self.stale.domains.extend(self.routes.unwatched());
        }
        for device in present {
            let key = (domain, device);
            let news = match self.known.get(&key) {
                None if self.known.len() < DEVICES => true,
                None => {
                    self.full = true;
                    false
                }
                Some(Phase::Announced) => false,
                Some(Phase::Released) => self.is_new(&format!("{path}/{device}")).await?,
            };
            if news {
                self.known.insert(key, Phase::Announced);
                self.events.push_back(BackendEvent::Added(domain, device));
            }
        }
        Ok(())
    }

    /// Forgets the devices of a domain that are no longer there.
    fn take_leave(&mut self, domain: DomId, present: &BTreeSet<u32>) {
        let known = self.known.range((domain, 0)..=(domain, u32::MAX));
        let gone: Vec<_> = known
            .filter(|((_, device), _)| !present.contains(device))
            .map(|(key, phase)| (*key, *phase))
            .collect();
        for (key, phase) in gone {
            self.known.remove(&key);
            if phase == Phase::Announced {
                self.events.push_back(BackendEvent::Removed(key.0, key.1));
            }
            if take(&mut self.full) {
                self.stale.all = true;
            }
        }
    }

    /// Whether a device whose driver is done with it has been made anew.
    async fn is_new(&self, path: &str) -> Result<bool, StoreError> {
        match key::own_state(&self.store, &format!("{path}/state")).await {
            Ok(state) => Ok(state == XenbusState::Initialising),
            Err(StoreError::NoEntry) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for BackendBus {
    fn drop(&mut self) {
        self.routes.close();
    }
}

/// The names of a directory's children. Whether there are any may not be for this domain to know:
/// only the devices' own directories are its own.
async fn children(store: &Store, path: &str) -> Result<Vec<String>, StoreError> {
    match store.list(path).await {
        Err(StoreError::NoEntry | StoreError::Denied) => Ok(Vec::new()),
        names => names,
    }
}
