//! Access through the whole stack: the checks, and what a change of counts sets off.

use alloc::string::String;

use crate::access::{Change, OpenError};
use crate::disk::DiskState;
use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::{ConsumerId, DiskId, ProviderId};
use crate::node::{Kind, Node};
use crate::provider::Provider;

/// One step down: the consumer whose counts change, and by how much.
type Step = (ConsumerId, Change);

impl Graph {
    /// Checks whether the counts of `consumer` may change, all the way down. Changes nothing.
    pub(crate) fn check_access(
        &self,
        consumer: ConsumerId,
        change: Change,
    ) -> Result<(), OpenError> {
        let mut step = Some((consumer, change));
        while let Some((id, change)) = step {
            let (Some(consumer), Some(provider)) = (self.consumers.get(id), self.provider_of(id))
            else {
                return Err(plain(Errno::NoDevice, "?"));
            };
            consumer
                .counts
                .after(change)
                .ok_or_else(|| plain(Errno::Invalid, &provider.name))?;
            if (consumer.spoiled || consumer.orphan) && change.opens() {
                return Err(plain(Errno::NoDevice, &provider.name));
            }
            self.check_others(id, provider, change)?;
            if let Some(errno) = provider.error.filter(|_| change.opens()) {
                return Err(plain(errno, &provider.name));
            }
            if self.disk_of(provider).is_some() {
                self.check_disk(provider, change)?;
            }
            step = self.step_below((id, change));
        }
        Ok(())
    }

    /// `e` of one excludes `w` of the others.
    fn check_others(
        &self,
        id: ConsumerId,
        provider: &Provider,
        change: Change,
    ) -> Result<(), OpenError> {
        let mut others = provider
            .consumers
            .iter()
            .copied()
            .filter(|other| *other != id);
        let conflict = others.find(|other| {
            self.consumers.get(*other).is_some_and(|other| {
                (change.exclusive > 0 && other.counts.write > 0)
                    || (change.write > 0 && other.counts.exclusive > 0)
            })
        });
        match conflict {
            None => Ok(()),
            Some(other) => Err(OpenError {
                errno: Errno::NotPermitted,
                provider: String::from(&*provider.name),
                holder: Some(self.holder(other)),
            }),
        }
    }

    fn check_disk(&self, provider: &Provider, change: Change) -> Result<(), OpenError> {
        let disk = self.disks.get(provider.base.disk);
        let errno = match disk {
            Some(disk) if disk.state != DiskState::Live && change.opens() => Errno::NoDevice,
            Some(disk) if disk.params.read_only && change.write > 0 => Errno::ReadOnly,
            Some(_) => return Ok(()),
            None => Errno::NoDevice,
        };
        Err(plain(errno, &provider.name))
    }

    /// Changes the counts all the way down, after [`check_access`](Self::check_access) or for a
    /// pure decrease, and posts what follows: spoiling at a first write open, tasting at a last
    /// write close, washing, and the driver's close. Allocates nothing.
    pub(crate) fn apply_access(&mut self, consumer: ConsumerId, change: Change) {
        let mut step = Some((consumer, change));
        while let Some((id, change)) = step {
            let Some(consumer) = self.consumers.get_mut(id) else {
                return;
            };
            let (geom, provider) = (consumer.geom, consumer.provider);
            if let Some(after) = consumer.counts.after(change) {
                consumer.counts = after;
            }
            self.count(id, provider, change);
            self.wash_later(geom);
            let provider = self.providers.get(provider);
            if let Some(disk) = provider.and_then(|provider| self.disk_of(provider)) {
                self.close_if_last(disk);
            }
            step = self.step_below((id, change));
        }
    }

    fn count(&mut self, id: ConsumerId, provider: ProviderId, change: Change) {
        let Some(node) = self.providers.get_mut(provider) else {
            return;
        };
        let before = node.counts;
        let Some(after) = before.after(change) else {
            return;
        };
        node.counts = after;
        let live = node.is_live();
        if before.write == 0 && after.write > 0 {
            self.spoil_others(id, provider);
        }
        let withers = self
            .providers
            .get(provider)
            .and_then(|node| self.geoms.get(node.geom));
        if before.write > 0 && after.write == 0 && live && withers.is_some_and(|node| !node.wither)
        {
            self.post(provider, |pending| pending.taste = true);
        }
    }

    /// Marks all consumers but `id` as spoiled. Applications' are not: they only hold the name.
    fn spoil_others(&mut self, id: ConsumerId, provider: ProviderId) {
        let Some(node) = self.providers.get(provider) else {
            return;
        };
        let mut any = false;
        for other in &node.consumers {
            let Some(consumer) = self.consumers.get_mut(*other) else {
                continue;
            };
            let node = self.geoms.get(consumer.geom);
            if *other != id && node.is_some_and(Node::is_told) && !consumer.orphan {
                consumer.spoiled = true;
                any = true;
            }
        }
        if any {
            self.post(provider, |pending| pending.spoil = true);
        }
    }

    /// Whether any provider of the disk is open.
    pub(crate) fn is_held(&self, disk: DiskId) -> bool {
        let node = self
            .disks
            .get(disk)
            .and_then(|disk| self.geoms.get(disk.geom?));
        let mut providers = node.into_iter().flat_map(|node| &node.providers);
        providers.any(|id| {
            self.providers
                .get(*id)
                .is_some_and(|p| !p.counts.is_closed())
        })
    }

    /// Has the driver closed if it is open for nobody.
    pub(crate) fn close_if_last(&mut self, id: DiskId) {
        let held = self.is_held(id);
        let Some(disk) = self.disks.get_mut(id) else {
            return;
        };
        if disk.open && !held && !disk.close_due {
            disk.close_due = true;
            self.closing.push_back(id);
        }
    }

    /// From a consumer to the one of the slicer below it, or of the disk there if that stands on
    /// another provider. `None` at any other disk.
    fn step_below(&self, (id, change): Step) -> Option<Step> {
        let node = self.geoms.get(self.provider_of(id)?.geom)?;
        let change = match node.kind {
            Kind::Disk { .. } => change,
            _ => change.below_slicer(),
        };
        Some((node.consumer?, change))
    }

    /// The disk whose own provider this is.
    fn disk_of(&self, provider: &Provider) -> Option<DiskId> {
        match self.geoms.get(provider.geom)?.kind {
            Kind::Disk { disk, .. } => Some(disk),
            _ => None,
        }
    }

    pub(crate) fn provider_of(&self, consumer: ConsumerId) -> Option<&Provider> {
        self.providers.get(self.consumers.get(consumer)?.provider)
    }
}

pub(crate) fn plain(errno: Errno, provider: &str) -> OpenError {
    OpenError {
        errno,
        provider: provider.into(),
        holder: None,
    }
}
