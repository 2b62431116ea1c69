//! Devices that come and go.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use exec::Level;

use crate::device::{DEVICES, FIRST_PAUSE, LONGEST_PAUSE, OddNames, Phase, Released};
use crate::either::either;
use crate::error::StoreError;
use crate::number;
use crate::state::{self, XenbusState};
use crate::store::Store;
use crate::watch::Watch;

/// What happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusEvent {
    /// It is there. It may be in any state.
    Added(u32),
    /// Its nodes are gone.
    Removed(u32),
}

/// The devices of one kind below `device/KIND`.
pub struct FrontendBus {
    store: Store,
    path: String,
    watch: Watch,
    known: BTreeMap<u32, Phase>,
    odd: OddNames,
    events: VecDeque<BusEvent>,
    released: Rc<Released<u32>>,
    /// Something changed since the last look that succeeded.
    stale: bool,
}

/// Tells the bus that a device's driver is done with it.
#[derive(Clone)]
pub struct Release(Rc<Released<u32>>);

impl Release {
    /// The driver of `device` is done. If the toolstack makes the device anew, or has already, it
    /// is announced again.
    pub fn release(&self, device: u32) {
        self.0.add(device);
    }
}

impl FrontendBus {
    /// Watches the devices of `kind`, `vbd` for example.
    ///
    /// # Errors
    /// As [`Store::watch`].
    pub async fn open(store: &Store, kind: &str) -> Result<Self, StoreError> {
        let path = format!("device/{kind}");
        let watch = store.watch(&path).await?;
        Ok(Self {
            store: store.clone(),
            path,
            watch,
            known: BTreeMap::new(),
            odd: OddNames::default(),
            events: VecDeque::new(),
            released: Rc::default(),
            stale: true,
        })
    }

    /// What drivers tell the bus with.
    #[must_use]
    pub fn release(&self) -> Release {
        Release(self.released.clone())
    }

    /// Waits for the next device to come or go. A device that goes and comes back quickly may not
    /// be seen to go; its driver sees it, and after [`Release::release`] it is announced again.
    ///
    /// A store that refuses to tell is asked again later.
    ///
    /// # Errors
    /// The store is lost, or does not watch any more. Every later call fails too.
    pub async fn next(&mut self) -> Result<BusEvent, StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(event) = self.events.pop_front() {
                if let BusEvent::Added(device) = event {
                    // What has been released until now is the one before, which left while this
                    // one was being looked at.
                    self.released.forget(&device);
                }
                return Ok(event);
            }
            if !self.stale {
                either(self.watch.changed(), self.released.some()).await;
                self.stale = true;
            }
            self.watch.check()?;
            match self.look().await {
                Ok(()) => {}
                Err(error @ StoreError::Lost(_)) => return Err(error),
                Err(error) => {
                    let text = format_args!("{}: {error}", self.path);
                    self.store.log().limited(Level::Warn, "xenbus", text);
                    self.store.exec().sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// The devices that are there now and what else there is to tell about them, without waiting
    /// for a change: to be called once at boot, before [`next`](Self::next).
    ///
    /// # Errors
    /// As the store has them.
    pub async fn settle(&mut self) -> Result<Vec<BusEvent>, StoreError> {
        self.look().await?;
        Ok(self.events.drain(..).collect())
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        for device in self.released.take() {
            if let Some(phase) = self.known.get_mut(&device) {
                *phase = Phase::Released;
            }
        }
        let names = match self.store.list(&self.path).await {
            Err(StoreError::NoEntry) => Vec::new(),
            names => names?,
        };
        let number = |name: &str| number::parse(name).ok();
        let wanted = "a device's number";
        let present = self
            .odd
            .numbers(&self.store, &self.path, wanted, names, number);
        let events = &mut self.events;
        self.known.retain(|device, phase| {
            let stays = present.contains(device);
            if !stays && *phase == Phase::Announced {
                events.push_back(BusEvent::Removed(*device));
            }
            stays
        });
        for device in present {
            let news = match self.known.get(&device) {
                None => self.known.len() < DEVICES,
                Some(Phase::Announced) => false,
                Some(Phase::Released) => self.is_new(device).await?,
            };
            if news {
                self.known.insert(device, Phase::Announced);
                self.events.push_back(BusEvent::Added(device));
            }
        }
        self.stale = false;
        Ok(())
    }

    /// Whether a device whose driver is done with it has been made anew.
    async fn is_new(&self, device: u32) -> Result<bool, StoreError> {
        match self
            .store
            .read(&format!("{}/{device}/state", self.path))
            .await
        {
            Ok(state) => Ok(state::parse(&state) == XenbusState::Initialising),
            Err(StoreError::NoEntry | StoreError::NotText) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
