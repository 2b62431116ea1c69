//! What makes two worlds the same: everything that decides what can happen next.
//!
//! Ids are replaced by their rank among those in use, because only their order matters.

use std::fmt::Write;

use super::world::World;
use crate::graph::Graph;
use crate::id::RequestId;
use crate::node::Kind;

/// The state as text.
pub(super) fn state(world: &World) -> String {
    let mut text = String::new();
    world.geom.read(|graph| {
        let names = Names::of(graph);
        objects(&mut text, graph, &names);
        rest(&mut text, graph, &names);
        let held = world.shared.held.borrow();
        let held = held
            .iter()
            .map(|bio| (names.request(bio.request()), bio.command));
        let _ = write!(text, "H{:?}", held.collect::<Vec<_>>());
    });
    let holders = [&world.raw, &world.partition, &world.nop].map(Option::is_some);
    let driver = (world.shared.open.get(), world.shared.gone.get());
    let _ = write!(text, "{holders:?}{driver:?}{:?}", world.used);
    let _ = write!(text, "{}", world.geom.waiting_completions());
    text
}

/// All ids in use, in their order: of objects, and of requests, which have numbers of their own.
struct Names {
    objects: Vec<u64>,
    requests: Vec<u64>,
}

impl Names {
    fn of(graph: &Graph) -> Self {
        let mut objects: Vec<u64> = graph.geoms.iter().map(|(id, _)| id.0).collect();
        objects.extend(graph.providers.iter().map(|(id, _)| id.0));
        objects.extend(graph.consumers.iter().map(|(id, _)| id.0));
        objects.extend(graph.disks.iter().map(|(id, _)| id.0));
        objects.sort_unstable();
        let mut requests: Vec<u64> = graph.requests.iter().map(|(id, _)| id.0).collect();
        requests.sort_unstable();
        Self { objects, requests }
    }

    fn rank(&self, id: u64) -> Option<usize> {
        self.objects.iter().position(|known| *known == id)
    }

    fn request(&self, id: RequestId) -> Option<usize> {
        self.requests.iter().position(|known| *known == id.0)
    }
}

fn objects(text: &mut String, graph: &Graph, names: &Names) {
    for (id, node) in graph.geoms.sorted() {
        let consumer = node.consumer.and_then(|id| names.rank(id.0));
        let providers: Vec<_> = node.providers.iter().map(|id| names.rank(id.0)).collect();
        let kind = match &node.kind {
            Kind::Slicer(slicer) => format!("S{:?}", slicer.defect),
            other => String::from(match other {
                Kind::Disk { .. } => "D",
                Kind::Taste => "T",
                _ => "A",
            }),
        };
        let flags = (node.wither, node.washing);
        let id = names.rank(id.0);
        let _ = write!(text, "G{id:?}{kind}{flags:?}{consumer:?}{providers:?}");
    }
    for (id, provider) in graph.providers.sorted() {
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
    for (id, consumer) in graph.consumers.sorted() {
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
    for (_, disk) in graph.disks.sorted() {
        let queue: Vec<_> = disk
            .queue
            .iter()
            .map(|rest| (names.request(rest.request), rest.piece.command))
            .collect();
        let barrier = disk.barrier.and_then(|id| names.request(id));
        let provider = disk.provider.and_then(|id| names.rank(id.0));
        let stand = disk.stand.as_ref();
        let stand = stand.map(|stand| names.rank(stand.consumer.0));
        let flags = (
            disk.open,
            disk.close_due,
            disk.sending,
            disk.destroyed,
            stand,
        );
        let links = (disk.geom.is_some(), provider, queue, barrier);
        let _ = write!(
            text,
            "X{:?}{flags:?}{links:?}{}",
            disk.state, disk.params.media_size
        );
    }
}

fn rest(text: &mut String, graph: &Graph, names: &Names) {
    for (id, request) in graph.requests.sorted() {
        let progress = (request.in_flight, request.waiting, request.error);
        let owner = names.rank(request.consumer.0);
        let _ = write!(text, "R{:?}{owner:?}{progress:?}", names.request(id));
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
    let disks = disks.map(|queue| queue.iter().map(|id| names.rank(id.0)).collect::<Vec<_>>());
    let _ = write!(text, "Q{providers:?}{wash:?}{disks:?}");
}
