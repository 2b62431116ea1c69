//! The laws of the graph, checked on what is there now.
//!
//! The laws that are about history (a callback once, an orphan call once) have a counter in their
//! object, and are checked here too. Tests call [`Geom::check`] after every step.

use alloc::format;
use alloc::string::String;

use crate::access::Counts;
use crate::disk::DiskState;
use crate::disk::record::DiskRecord;
use crate::graph::Graph;
use crate::id::{ConsumerId, DiskId, ProviderId};
use crate::mesh::Geom;
use crate::node::{Consumer, Kind, Node};
use crate::provider::{Orphan, Provider};
use crate::request::Rest;

type Verdict = Result<(), String>;

impl Geom {
    /// Whether the graph obeys its laws.
    ///
    /// # Errors
    /// The first law that is broken, with the object that breaks it.
    pub fn check(&self) -> Result<(), String> {
        self.read(|graph| {
            graph
                .providers
                .values()
                .try_for_each(|provider| graph.check_provider(provider))?;
            graph
                .consumers
                .values()
                .try_for_each(|consumer| graph.check_consumer(consumer))?;
            graph
                .geoms
                .values()
                .try_for_each(|node| graph.check_geom(node))?;
            graph
                .disks
                .iter()
                .try_for_each(|(id, disk)| graph.check_disk_record(id, disk))?;
            graph.check_requests()?;
            graph.check_places()?;
            law(graph.dropped_bios == 0, "L7: a driver dropped a bio", &"")?;
            law(
                graph.late_entries.get() == 0,
                "L9: a driver was entered after gone",
                &"",
            )?;
            law(
                graph.gone <= graph.created,
                "L8: more gone than created",
                &"",
            )
        })
    }
}

fn law(holds: bool, law: &str, object: &dyn core::fmt::Display) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(format!("{law}: {object}"))
    }
}

impl Graph {
    fn check_provider(&self, provider: &Provider) -> Verdict {
        let name = &provider.name;
        let mut sum = Counts::default();
        for id in &provider.consumers {
            let consumer = self
                .consumers
                .get(*id)
                .ok_or(format!("dangling consumer on {name}"))?;
            law(
                consumer.provider == provider.id,
                "a consumer of another provider",
                name,
            )?;
            sum.read += consumer.counts.read;
            sum.write += consumer.counts.write;
            sum.exclusive += consumer.counts.exclusive;
            let other_writes = |other: &ConsumerId| {
                other != id
                    && self
                        .consumers
                        .get(*other)
                        .is_some_and(|c| c.counts.write > 0)
            };
            let shared = provider.consumers.iter().any(other_writes);
            law(
                consumer.counts.exclusive == 0 || !shared,
                "L2: e and w of two",
                name,
            )?;
        }
        law(
            sum == provider.counts,
            "L1: counts are not the sum of the consumers'",
            name,
        )?;
        let node = self
            .geoms
            .get(provider.geom)
            .ok_or(format!("{name} has no geom"))?;
        law(
            node.providers.contains(&provider.id),
            "its geom does not know it",
            name,
        )?;
        let lost = provider.error.is_some();
        law(
            lost == (provider.orphan != Orphan::No),
            "lost without an orphan event",
            name,
        )?;
        law(
            !node.wither || lost,
            "L5: a live provider of a withering geom",
            name,
        )?;
        if provider.orphan == Orphan::Served {
            let told = |c: &Consumer| c.orphan;
            let all = provider
                .consumers
                .iter()
                .filter_map(|id| self.consumers.get(*id))
                .all(told);
            law(all, "L6: a consumer was not told", name)?;
        }
        let waits = self
            .doorstep
            .iter()
            .filter(|id| **id == provider.id)
            .count();
        law(
            waits == usize::from(provider.orphan == Orphan::Queued),
            "L12: doorstep",
            name,
        )?;
        let queued = self.ready.iter().filter(|id| **id == provider.id).count();
        law(
            queued == usize::from(provider.pending.queued),
            "L12: events out of step",
            name,
        )?;
        let disk = self
            .disks
            .get(provider.base.disk)
            .ok_or(format!("{name} has no disk"))?;
        law(
            disk.state < DiskState::Detached,
            "L8: reachable after its detach",
            name,
        )
    }

    fn check_consumer(&self, consumer: &Consumer) -> Verdict {
        let id = consumer.id;
        let below = self.providers.get(consumer.provider);
        let below = below.ok_or(format!("L5: consumer {id} without a provider"))?;
        law(
            below.consumers.contains(&id),
            "its provider does not know it",
            &id,
        )?;
        law(consumer.orphan_calls <= 1, "L6: told twice", &id)?;
        let node = self
            .geoms
            .get(consumer.geom)
            .ok_or(format!("consumer {id} has no geom"))?;
        law(node.consumer == Some(id), "its geom does not know it", &id)?;
        let queued = self.changed.iter().filter(|queued| **queued == id).count();
        law(
            queued == usize::from(consumer.notified),
            "L12: a holder to be woken out of step",
            &id,
        )?;
        let out = self
            .requests
            .values()
            .filter(|request| request.consumer == id)
            .count();
        law(
            out == consumer.in_flight as usize,
            "L7: requests out of step",
            &id,
        )?;
        if consumer.counts.is_closed() && !matches!(node.kind, Kind::Slicer(_)) {
            law(out == 0, "closed with requests out", &id)?;
        }
        let mut wanted = Counts::default();
        let above = node.providers.iter();
        for above in above.filter_map(|id| self.providers.get(*id)) {
            wanted.read += above.counts.read;
            wanted.write += above.counts.write;
            wanted.exclusive += match node.kind {
                Kind::Slicer(_) => above.counts.write,
                _ => above.counts.exclusive,
            };
        }
        let passes = matches!(node.kind, Kind::Slicer(_) | Kind::Disk { .. });
        law(
            !passes || wanted == consumer.counts,
            "L1: a geom holds other counts than needed",
            &id,
        )
    }

    /// Whether a geom of its kind has a consumer.
    fn must_be_attached(&self, node: &Node) -> bool {
        match node.kind {
            Kind::Disk { disk, .. } => self
                .disks
                .get(disk)
                .is_some_and(|disk| disk.stand.is_some()),
            _ => true,
        }
    }

    fn check_geom(&self, node: &Node) -> Verdict {
        let id = node.id;
        let below = node.consumer.and_then(|id| self.provider_of(id));
        let below = below.and_then(|provider| self.geoms.get(provider.geom));
        let rank = below.map_or(0, |below| below.rank) + 1;
        law(node.rank == rank, "L4: rank does not grow upward", &id)?;
        law(
            below.is_some() == self.must_be_attached(node),
            "attached wrongly",
            &id,
        )?;
        let known = |id: &ProviderId| self.providers.contains(*id);
        law(
            node.providers.iter().all(known),
            "a dead provider is listed",
            &id,
        )?;
        let queued = self.wash.iter().filter(|queued| **queued == id).count();
        law(
            queued == usize::from(node.washing),
            "L12: wash out of step",
            &id,
        )
    }

    fn check_disk_record(&self, id: DiskId, disk: &DiskRecord) -> Verdict {
        let name = &disk.name;
        let out = self.requests.values().filter(|request| request.disk == id);
        let pieces: u32 = out.map(|request| request.in_flight).sum();
        law(pieces == disk.in_flight, "L7: pieces out of step", name)?;
        let known = |rest: &Rest| self.requests.contains(rest.request);
        law(disk.queue.iter().all(known), "L7: a rest of nothing", name)?;
        law(
            disk.open || disk.in_flight == 0,
            "requests at a closed driver",
            name,
        )?;
        law(
            disk.open || !self.is_held(id),
            "held, and the driver is closed",
            name,
        )?;
        law(
            !disk.open || disk.close_due || self.is_held(id),
            "L3: never closed",
            name,
        )?;
        let done = disk.state >= DiskState::Detached;
        law(
            !done || (disk.is_idle() && disk.geom.is_none()),
            "L8: detached too early",
            name,
        )?;
        let present =
            disk.geom.is_some() == (DiskState::Live..=DiskState::Draining).contains(&disk.state);
        let drained = disk.state == DiskState::Draining && disk.geom.is_none();
        law(present || drained, "its geom does not fit its state", name)?;
        let stuck = drained && disk.is_idle();
        law(!stuck, "draining with nothing to wait for", name)?;
        law(
            !(disk.destroyed && disk.state == DiskState::Gone),
            "freed too late",
            name,
        )?;
        let timer = disk.timer.is_none() || self.next_timer <= disk.timer;
        law(
            timer && (disk.timer.is_none() || self.next_timer.is_some()),
            "L12: a timer out of step",
            name,
        )
    }

    fn check_requests(&self) -> Verdict {
        for (id, request) in self.requests.iter() {
            law(!request.is_over(), "L7: over and not ended", &id)?;
            law(!request.maker.is_told(), "L7: ended and still there", &id)?;
            let queue = self.disks.get(request.disk).map(|disk| &disk.queue);
            let queue = queue.into_iter().flatten();
            let rests = queue.filter(|rest| rest.request == id).count();
            law(
                rests == usize::from(request.waiting),
                "L7: the queue is out of step",
                &id,
            )?;
        }
        Ok(())
    }

    /// Whether every queue has a place for every object.
    fn check_places(&self) -> Verdict {
        let providers = self.providers.len();
        let disks = self.disks.len();
        let places = self.doorstep.capacity() >= providers
            && self.ready.capacity() >= providers
            && self.wash.capacity() >= self.geoms.len()
            && self.changed.capacity() >= self.consumers.len()
            && [
                &self.creating,
                &self.departing,
                &self.closing,
                &self.sending,
            ]
            .iter()
            .all(|queue| queue.capacity() >= disks);
        law(places, "L13: an event would need memory", &"")
    }
}
