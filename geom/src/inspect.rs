//! What there is: providers, disks, and how many of everything.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::disk::DiskInfo;
use crate::disk::record::DiskRecord;
use crate::graph::Graph;
use crate::id::DiskId;
use crate::made::Made;
use crate::mesh::Geom;
use crate::node::{ConsumerInfo, GeomInfo, Kind, Node};
use crate::provider::{Provider, ProviderInfo};

/// How many of what there are: for tests that everything is back at its baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Disks ever created.
    pub disks_created: u64,
    /// Disks whose driver was told that they are gone.
    pub disks_gone: u64,
    /// `disks_created - disks_gone`.
    pub disks_live: u64,
    /// Records of disks, also of those that are gone and not destroyed.
    pub disk_records: usize,
    /// Geoms.
    pub geoms: usize,
    /// Providers.
    pub providers: usize,
    /// Consumers.
    pub consumers: usize,
    /// Requests that have not ended.
    pub requests: usize,
    /// Tastes under way.
    pub tastes: usize,
    /// Bios that a driver dropped instead of completing: bugs.
    pub dropped_bios: u64,
    /// Entries into a driver after it was gone, all stopped at the door: bugs.
    pub late_entries: u64,
}

impl Geom {
    /// All providers, in the order of their making.
    #[must_use]
    pub fn providers(&self) -> Vec<ProviderInfo> {
        let graph = self.graph();
        graph
            .providers
            .sorted()
            .iter()
            .map(|(_, provider)| graph.provider_info(provider))
            .collect()
    }

    /// The live provider of that name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<ProviderInfo> {
        let graph = self.graph();
        graph
            .find(name)
            .map(|provider| graph.provider_info(provider))
    }

    /// All geoms, in the order of their making, each with what it stands on.
    #[must_use]
    pub fn geoms(&self) -> Vec<GeomInfo> {
        let graph = self.graph();
        let geoms = graph.geoms.sorted();
        geoms
            .iter()
            .map(|(_, node)| graph.geom_info(node))
            .collect()
    }

    /// All disks that are not gone and destroyed, in the order of their creation.
    #[must_use]
    pub fn disks(&self) -> Vec<DiskInfo> {
        let graph = self.graph();
        let info = |(_, disk): (DiskId, &DiskRecord)| DiskInfo {
            name: String::from(&*disk.name),
            state: disk.state,
            media_size: disk.params.media_size,
            sector_size: disk.params.sector_size,
            limits: disk.params.limits,
            read_only: disk.params.read_only,
            in_flight: disk.in_flight,
            ident: disk.params.ident.clone(),
            description: disk.params.description.clone(),
        };
        graph.disks.sorted().into_iter().map(info).collect()
    }

    /// How many of what there are.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let graph = self.graph();
        Counters {
            disks_created: graph.created,
            disks_gone: graph.gone,
            disks_live: graph.created - graph.gone,
            disk_records: graph.disks.len(),
            geoms: graph.geoms.len(),
            providers: graph.providers.len(),
            consumers: graph.consumers.len(),
            requests: graph.requests.len(),
            tastes: graph.tastes.len(),
            dropped_bios: graph.dropped_bios,
            late_entries: graph.late_entries.get(),
        }
    }
}

impl Graph {
    fn geom_info(&self, node: &Node) -> GeomInfo {
        let (detail, defect) = match &node.kind {
            Kind::Slicer(slicer) => (String::from(slicer.scheme), slicer.defect.clone()),
            Kind::Dev { holder } => (holder.clone(), None),
            Kind::Disk { disk, .. } => {
                let state = self.disks.get(*disk).map(|disk| format!("{}", disk.state));
                (state.unwrap_or_default(), None)
            }
            Kind::Taste => (String::new(), None),
        };
        let consumer = node.consumer.and_then(|id| self.consumers.get(id));
        GeomInfo {
            id: node.id,
            class: node.class_name(),
            name: String::from(&*node.name),
            detail,
            defect,
            withering: node.wither,
            consumer: consumer.map(|consumer| ConsumerInfo {
                provider: consumer.provider,
                counts: consumer.counts,
                in_flight: consumer.in_flight,
            }),
            providers: node.providers.clone(),
        }
    }

    fn provider_info(&self, provider: &Provider) -> ProviderInfo {
        ProviderInfo {
            id: provider.id,
            name: String::from(&*provider.name),
            class: self
                .geoms
                .get(provider.geom)
                .map_or("", |node| node.class_name()),
            media_size: provider.media_size,
            sector_size: provider.sector_size,
            stripe_size: provider.stripe_size,
            offset: provider.base.offset,
            kind: slice_text(provider, "type"),
            label: self.label(provider),
            counts: provider.counts,
            tasted: provider.tasted,
            error: provider.error,
            generation: provider.generation,
        }
    }
}

impl Graph {
    /// The label that its table gives a partition, or that a disk was made with.
    fn label(&self, provider: &Provider) -> String {
        let made = match &provider.slice {
            None => self.disks.get(provider.base.disk),
            Some(_) => return slice_text(provider, "label"),
        };
        let mut config = made
            .iter()
            .flat_map(|disk| &disk.made)
            .flat_map(Made::config);
        let found = config.find(|(key, _)| *key == "label");
        found.map(|(_, text)| text).unwrap_or_default()
    }
}

/// What a table says of a partition under `key`; empty if nothing.
fn slice_text(provider: &Provider, key: &str) -> String {
    let config = provider.slice.iter().flat_map(|slice| &slice.config);
    let mut found = config.filter(|(known, _)| *known == key);
    found
        .next()
        .map(|(_, text)| text.clone())
        .unwrap_or_default()
}
