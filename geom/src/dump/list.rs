//! The graph in the words of FreeBSD's `geom list`.

use alloc::format;
use alloc::string::String;

use super::tree::human;
use crate::graph::Graph;
use crate::made::Made;
use crate::mesh::Geom;
use crate::node::{Kind, Node};
use crate::provider::Provider;

impl Geom {
    /// Every geom with its providers and its consumer, field by field.
    #[must_use]
    pub fn list(&self) -> String {
        self.read(|graph| {
            let mut text = String::new();
            for (_, node) in graph.geoms.sorted() {
                graph.list_geom(&mut text, node);
            }
            text
        })
    }
}

impl Graph {
    fn list_geom(&self, text: &mut String, node: &Node) {
        let mut line = |entry: String| {
            text.push_str(&entry);
            text.push('\n');
        };
        line(format!("Geom name: {} (id {})", node.name, node.id));
        line(format!("Class: {}", node.class_name()));
        line(format!("Rank: {}", node.rank));
        if node.wither {
            line(String::from("Withering: yes"));
        }
        match &node.kind {
            Kind::Slicer(slicer) => {
                line(format!("scheme: {}", slicer.scheme));
                slicer
                    .config
                    .iter()
                    .for_each(|(key, value)| line(format!("{key}: {value}")));
            }
            Kind::Dev { holder } => line(format!("holder: {holder}")),
            Kind::Disk { disk, .. } => {
                if let Some(disk) = self.disks.get(*disk) {
                    line(format!("state: {}", disk.state));
                    let config = disk.made.iter().flat_map(Made::config);
                    config.for_each(|(key, value)| line(format!("{key}: {value}")));
                }
            }
            Kind::Taste => {}
        }
        if !node.providers.is_empty() {
            line(String::from("Providers:"));
        }
        for (number, id) in node.providers.iter().enumerate() {
            if let Some(provider) = self.providers.get(*id) {
                line(format!("{}. Name: {} (id {id})", number + 1, provider.name));
                self.list_provider(&mut line, provider);
            }
        }
        if let Some(consumer) = node.consumer.and_then(|id| self.consumers.get(id)) {
            let below = self.providers.get(consumer.provider);
            let name = below.map_or("?", |provider| &*provider.name);
            line(String::from("Consumers:"));
            line(format!("1. Name: {name} (id {})", consumer.id));
            line(format!("   Mode: {}", consumer.counts));
            line(format!("   InFlight: {}", consumer.in_flight));
        }
        text.push('\n');
    }

    fn list_provider(&self, line: &mut impl FnMut(String), provider: &Provider) {
        let size = provider.media_size;
        line(format!("   Mediasize: {size} ({})", human(size)));
        line(format!("   Sectorsize: {}", provider.sector_size));
        if provider.stripe_size > 0 {
            line(format!("   Stripesize: {}", provider.stripe_size));
        }
        line(format!("   Mode: {}", provider.counts));
        line(format!("   Tasted: {:?}", provider.tasted));
        if let Some(errno) = provider.error {
            line(format!("   Error: {errno}"));
        }
        if let Some(slice) = &provider.slice {
            line(format!("   index: {}", slice.index));
            line(format!("   offset: {}", slice.start));
            slice
                .config
                .iter()
                .for_each(|(key, value)| line(format!("   {key}: {value}")));
            return;
        }
        if let Some(disk) = self.disks.get(provider.base.disk) {
            let params = &disk.params;
            line(format!("   descr: {}", params.description));
            line(format!("   ident: {}", params.ident));
            line(format!("   fwsectors: {}", params.fwsectors));
            line(format!("   fwheads: {}", params.fwheads));
            line(format!(
                "   readonly: {}",
                if params.read_only { "yes" } else { "no" }
            ));
            line(format!("   maxio: {}", params.limits.max_io));
        }
    }
}
