//! Telling holders that something about their provider changed.
//!
//! Each provider counts its changes. A holder that waits for one leaves its waker; when it is to be
//! woken, its consumer goes to a queue in which every consumer has a place, and the next poll wakes
//! it.

use alloc::collections::VecDeque;
use core::task::{Context, Poll};

use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::{ConsumerId, DiskId, ProviderId};
use crate::mesh::Mesh;
use crate::node::Consumer;
use crate::table::Table;

impl Mesh {
    /// See [`Device::poll_changed`](crate::Device::poll_changed).
    pub(crate) fn poll_changed(&self, id: ConsumerId, context: &mut Context<'_>) -> Poll<()> {
        let mut graph = self.graph.borrow_mut();
        let generation = match graph.provider_of(id) {
            Some(provider) if graph.loss(provider.id).is_none() => provider.generation,
            _ => return Poll::Ready(()),
        };
        let Some(consumer) = graph.consumers.get_mut(id) else {
            return Poll::Ready(());
        };
        if consumer.seen != generation {
            consumer.seen = generation;
            return Poll::Ready(());
        }
        let old = consumer.waker.replace(context.waker().clone());
        drop(graph);
        drop(old);
        Poll::Pending
    }

    /// Wakes the next holder whose provider changed. `false` if there is none.
    pub(crate) fn serve_changed(&self) -> bool {
        let mut graph = self.graph.borrow_mut();
        let Some(id) = graph.changed.pop_front() else {
            return false;
        };
        let consumer = graph.consumers.get_mut(id);
        let waker = consumer.and_then(|consumer| {
            consumer.notified = false;
            consumer.waker.take()
        });
        drop(graph);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl Graph {
    /// Why a provider is lost, or its disk; `None` while it lives.
    pub(crate) fn loss(&self, id: ProviderId) -> Option<Errno> {
        let Some(provider) = self.providers.get(id) else {
            return Some(Errno::NoDevice);
        };
        let disk = self.disks.get(provider.base.disk);
        let live = disk.is_some_and(|disk| disk.is_live());
        provider.error.or((!live).then_some(Errno::NoDevice))
    }

    /// Counts a change of a provider, and has its holders woken that wait for one.
    pub(crate) fn raise_generation(&mut self, id: ProviderId) {
        let Some(provider) = self.providers.get_mut(id) else {
            return;
        };
        provider.generation += 1;
        for consumer in &provider.consumers {
            notify(&mut self.consumers, &mut self.changed, *consumer);
        }
    }

    /// Counts a change of a disk's provider and of all above it. Those that stand there have the
    /// disk's limits from now on.
    pub(crate) fn raise_all(&mut self, disk: DiskId) {
        for provider in self.providers.values_mut() {
            if provider.base.disk == disk {
                provider.generation += 1;
                for consumer in &provider.consumers {
                    notify(&mut self.consumers, &mut self.changed, *consumer);
                }
            }
        }
        self.follow_limits(disk);
    }

    /// Has the holder of a consumer woken if it waits for a change.
    pub(crate) fn notify(&mut self, id: ConsumerId) {
        notify(&mut self.consumers, &mut self.changed, id);
    }
}

fn notify(
    consumers: &mut Table<ConsumerId, Consumer>,
    changed: &mut VecDeque<ConsumerId>,
    id: ConsumerId,
) {
    let Some(consumer) = consumers.get_mut(id) else {
        return;
    };
    if consumer.waker.is_some() && !consumer.notified {
        consumer.notified = true;
        changed.push_back(id);
    }
}
