//! The graph: all objects, the queues between them, and how objects come and go.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;

use crate::access::Counts;
use crate::class::Slice;
use crate::disk::record::DiskRecord;
use crate::errno::Errno;
use crate::event::Pending;
use crate::id::{ConsumerId, DiskId, GeomId, ProviderId, RequestId};
use crate::node::{Consumer, Kind, Node};
use crate::notice::Notices;
use crate::provider::{Base, Orphan, Provider, Tasted};
use crate::request::Request;
use crate::table::Table;
use crate::taste::Taste;

/// Everything GEOM knows. Drivers, wakers and applications are never called while it is borrowed,
/// but for [`Disk::at_once`](crate::disk::Disk::at_once) and the [memory](crate::Memory) of a
/// request, which must not call back.
#[derive(Default)]
pub(crate) struct Graph {
    serial: u64,
    pub(crate) geoms: Table<GeomId, Node>,
    pub(crate) providers: Table<ProviderId, Provider>,
    pub(crate) consumers: Table<ConsumerId, Consumer>,
    pub(crate) disks: Table<DiskId, DiskRecord>,
    pub(crate) requests: Table<RequestId, Request>,
    /// How many requests were ever made: what their ids are numbered by.
    pub(crate) requests_made: u64,
    pub(crate) tastes: BTreeMap<ProviderId, Taste>,
    /// Lost providers whose consumers must be told. Served before all other events.
    pub(crate) doorstep: VecDeque<ProviderId>,
    /// Providers with [`Pending`] events.
    pub(crate) ready: VecDeque<ProviderId>,
    /// Geoms that may have become destroyable.
    pub(crate) wash: VecDeque<GeomId>,
    /// When the first driver wants to be called.
    pub(crate) next_timer: Option<Duration>,
    /// Disks whose create event was not run.
    pub(crate) creating: VecDeque<DiskId>,
    /// Disks whose driver must be told that they are gone.
    pub(crate) departing: VecDeque<DiskId>,
    /// Disks whose driver must be closed.
    pub(crate) closing: VecDeque<DiskId>,
    /// Disks with requests that may be sent.
    pub(crate) sending: VecDeque<DiskId>,
    /// Consumers whose holder waits for a change, after one.
    pub(crate) changed: VecDeque<ConsumerId>,
    /// A completion has left work for a poll.
    pub(crate) stirred: bool,
    pub(crate) created: u64,
    pub(crate) gone: u64,
    pub(crate) freed: u64,
    /// Bios that drivers dropped instead of completing.
    pub(crate) dropped_bios: u64,
    /// Entries into drivers after they were gone.
    pub(crate) late_entries: Rc<Cell<u64>>,
    pub(crate) notices: Notices,
}

/// What a new provider is made of.
pub(crate) struct NewProvider {
    pub(crate) name: Rc<str>,
    pub(crate) media_size: u64,
    pub(crate) sector_size: u32,
    pub(crate) stripe_size: u64,
    pub(crate) base: Base,
    pub(crate) outer: Vec<&'static str>,
    pub(crate) slice: Option<Slice>,
}

impl Graph {
    /// The next number of the one counter behind all ids.
    pub(crate) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(crate) fn add_geom(&mut self, kind: Kind, name: Rc<str>, rank: u32) -> GeomId {
        self.reserve_places();
        let serial = self.serial();
        self.geoms.add(serial, |id| Node {
            id,
            kind,
            name,
            rank,
            wither: false,
            washing: false,
            consumer: None,
            providers: Vec::new(),
        })
    }

    /// Makes a provider of `geom` and has it tasted.
    pub(crate) fn add_provider(&mut self, geom: GeomId, new: NewProvider) -> ProviderId {
        self.reserve_places();
        let serial = self.serial();
        let id = self.providers.add(serial, |id| Provider {
            id,
            name: new.name,
            geom,
            media_size: new.media_size,
            sector_size: new.sector_size,
            stripe_size: new.stripe_size,
            error: None,
            orphan: Orphan::No,
            counts: Counts::default(),
            consumers: Vec::new(),
            base: new.base,
            outer: new.outer,
            pending: Pending::default(),
            tasted: Tasted::Pending,
            generation: 0,
            slice: new.slice,
        });
        if let Some(node) = self.geoms.get_mut(geom) {
            node.providers.push(id);
        }
        self.post(id, |pending| pending.taste = true);
        id
    }

    /// Makes a geom of `kind` that is attached to `provider`, and its consumer.
    ///
    /// # Errors
    /// [`Errno::NoDevice`] if the provider is lost or dead: nothing attaches to those.
    pub(crate) fn attach(
        &mut self,
        kind: Kind,
        provider: ProviderId,
    ) -> Result<(GeomId, ConsumerId), Errno> {
        let below = self.providers.get(provider).ok_or(Errno::NoDevice)?;
        if !below.is_live() {
            return Err(Errno::NoDevice);
        }
        let (name, seen) = (below.name.clone(), below.generation);
        let rank = self.geoms.get(below.geom).map_or(0, |node| node.rank) + 1;
        let tastes = matches!(kind, Kind::Taste);
        let geom = self.add_geom(kind, name, rank);
        let serial = self.serial();
        let id = self.consumers.add(serial, |id| Consumer {
            id,
            geom,
            provider,
            counts: Counts::default(),
            tastes,
            in_flight: 0,
            spoiled: false,
            orphan: false,
            orphan_calls: 0,
            seen,
            waker: None,
            notified: false,
            closing: false,
        });
        if let Some(node) = self.geoms.get_mut(geom) {
            node.consumer = Some(id);
        }
        if let Some(below) = self.providers.get_mut(provider) {
            below.consumers.push(id);
        }
        Ok((geom, id))
    }

    /// The live provider of that name; a lost one only if there is no live one. The label of a
    /// memory disk stands for its name where no provider has the name itself.
    pub(crate) fn find(&self, name: &str) -> Option<&Provider> {
        let labelled = || {
            let names = self.made().filter_map(|(id, made)| {
                let rest = name.strip_prefix(made.label()?)?;
                Some(alloc::format!("{}{rest}", self.disks.get(id)?.name))
            });
            names.into_iter().find_map(|name| self.find_named(&name))
        };
        self.find_named(name).or_else(labelled)
    }

    fn find_named(&self, name: &str) -> Option<&Provider> {
        let mut named = self
            .providers
            .values()
            .filter(|provider| *provider.name == *name);
        let first = named.next()?;
        if first.is_live() {
            Some(first)
        } else {
            named.find(|p| p.is_live()).or(Some(first))
        }
    }

    /// The geom a consumer belongs to.
    pub(crate) fn node_of(&self, consumer: ConsumerId) -> Option<&Node> {
        self.geoms.get(self.consumers.get(consumer)?.geom)
    }

    /// Who a consumer is, in words, for refusals: `shell`, or `PART xbd0 (xbd0p1 held by shell)`.
    pub(crate) fn holder(&self, consumer: ConsumerId) -> String {
        let Some(node) = self.node_of(consumer) else {
            return String::new();
        };
        if let Kind::Dev { holder } = &node.kind {
            return holder.clone();
        }
        let mut text = alloc::format!("{} {}", node.class_name(), node.name);
        let held = node
            .providers
            .iter()
            .filter_map(|id| self.providers.get(*id));
        if let Some(above) = held.into_iter().find(|above| above.counts.write > 0) {
            let writers = above.consumers.iter().copied();
            let writer = writers
                .filter(|id| self.consumers.get(*id).is_some_and(|c| c.counts.write > 0))
                .map(|id| self.holder(id))
                .next()
                .unwrap_or_default();
            text.push_str(&alloc::format!(" ({} held by {writer})", above.name));
        }
        text
    }
}
