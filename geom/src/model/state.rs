//! What makes two worlds the same: everything that decides what can happen next.
//!
//! Ids are replaced by their rank among those in use, because only their order matters.

use std::fmt::Write;

use super::world::World;
use crate::graph::Graph;
use crate::node::Kind;

/// The state as text.
pub(super) fn state(world: &World) -> String {
    let mut text = String::new();
    world.geom.read(|graph| {
        let names = Names::of(graph);
        objects(&mut text, graph, &names);
        rest(&mut text, graph, &names);
        let held = world.shared.held.borrow();
        let held = held.iter().map(|bio| names.rank(bio.request().0));
        let _ = write!(text, "H{:?}", held.collect::<Vec<_>>());
    });
    let holders = (world.raw.is_some(), world.partition.is_some());
    let driver = (world.shared.open.get(), world.shared.gone.get());
    let _ = write!(text, "{holders:?}{driver:?}{:?}", world.used);
    let _ = write!(text, "{}", world.geom.waiting_completions());
    text
}

/// All ids in use, in their order.
struct Names(Vec<u64>);

impl Names {
    fn of(graph: &Graph) -> Self {
        let mut ids: Vec<u64> = graph.geoms.keys().map(|id| id.0).collect();
        ids.extend(graph.providers.keys().map(|id| id.0));
        ids.extend(graph.consumers.keys().map(|id| id.0));
        ids.extend(graph.disks.keys().map(|id| id.0));
        ids.extend(graph.requests.keys().map(|id| id.0));
        ids.sort_unstable();
        Self(ids)
    }

    fn rank(&self, id: u64) -> Option<usize> {
        self.0.iter().position(|known| *known == id)
    }
}

fn objects(text: &mut String, graph: &Graph, names: &Names) {
    for (id, node) in &graph.geoms {
        let consumer = node.consumer.and_then(|id| names.rank(id.0));
        let providers: Vec<_> = node.providers.iter().map(|id| names.rank(id.0)).collect();
        let kind = match &node.kind {
            Kind::Slicer(slicer) => format!("S{:?}", slicer.defect),
            other => String::from(match other {
                Kind::Disk(_) => "D",
                Kind::Taste => "T",
                _ => "A",
            }),
        };
        let flags = (node.wither, node.washing);
        let id = names.rank(id.0);
        let _ = write!(text, "G{id:?}{kind}{flags:?}{consumer:?}{providers:?}");
    }
    for (id, provider) in &graph.providers {
        let consumers: Vec<_> = provider
            .consumers
            .iter()
            .map(|id| names.rank(id.0))
            .collect();
        let status = (
            provider.error,
            provider.orphan,
            provider.tasted,
            provider.media_size,
        );
        let rest = (provider.counts, provider.pending, consumers);
        let _ = write!(text, "P{:?}{status:?}{rest:?}", names.rank(id.0));
    }
    for (id, consumer) in &graph.consumers {
        let flags = (
            consumer.spoiled,
            consumer.orphan,
            consumer.orphan_calls,
            consumer.closing,
            consumer.notified,
        );
        let use_ = (consumer.counts, consumer.in_flight);
        let _ = write!(text, "C{:?}{flags:?}{use_:?}", names.rank(id.0));
    }
    for disk in graph.disks.values() {
        let queue: Vec<_> = disk.queue.iter().map(|id| names.rank(id.0)).collect();
        let barrier = disk.barrier.and_then(|id| names.rank(id.0));
        let provider = disk.provider.and_then(|id| names.rank(id.0));
        let flags = (disk.open, disk.close_due, disk.sending, disk.destroyed);
        let links = (disk.geom.is_some(), provider, queue, barrier);
        let _ = write!(
            text,
            "X{:?}{flags:?}{links:?}{}",
            disk.state, disk.params.media_size
        );
    }
}

fn rest(text: &mut String, graph: &Graph, names: &Names) {
    for (id, request) in &graph.requests {
        let progress = (
            request.issued,
            request.issued_all,
            request.in_flight,
            request.error,
        );
        let owner = names.rank(request.consumer.0);
        let _ = write!(
            text,
            "R{:?}{owner:?}{progress:?}{:?}",
            names.rank(id.0),
            request.command
        );
    }
    for (id, taste) in &graph.tastes {
        let _ = write!(text, "T{:?}{}", names.rank(id.0), taste.state());
    }
    let providers = [&graph.doorstep, &graph.ready];
    let providers = providers.map(|q| q.iter().map(|id| names.rank(id.0)).collect::<Vec<_>>());
    let wash: Vec<_> = graph.wash.iter().map(|id| names.rank(id.0)).collect();
    let disks = [
        &graph.creating,
        &graph.departing,
        &graph.closing,
        &graph.sending,
    ];
    let disks = disks.map(|queue| queue.len());
    let _ = write!(text, "Q{providers:?}{wash:?}{disks:?}");
}
