//! The graph as JSON.

use alloc::format;
use alloc::string::String;

use crate::access::Counts;
use crate::graph::Graph;
use crate::mesh::Geom;
use crate::node::{Consumer, Kind, Node};
use crate::provider::Provider;

impl Geom {
    /// `{"geoms": [...], "providers": [...], "consumers": [...]}`, linked by ids.
    #[must_use]
    pub fn json(&self) -> String {
        self.read(|graph| {
            let (geoms, providers) = (graph.geoms.sorted(), graph.providers.sorted());
            let geoms = join(geoms.iter().map(|(_, node)| graph.json_geom(node)));
            let providers = join(
                providers
                    .iter()
                    .map(|(_, provider)| json_provider(provider)),
            );
            let consumers = graph.consumers.sorted();
            let consumers = join(
                consumers
                    .iter()
                    .map(|(_, consumer)| json_consumer(consumer)),
            );
            format!(
                "{{\"geoms\":[{geoms}],\"providers\":[{providers}],\"consumers\":[{consumers}]}}"
            )
        })
    }
}

impl Graph {
    fn json_geom(&self, node: &Node) -> String {
        let mut text = format!(
            "{{\"id\":{},\"class\":{},\"name\":{},\"rank\":{},\"withering\":{}",
            node.id,
            quote(node.class_name()),
            quote(&node.name),
            node.rank,
            node.wither
        );
        match &node.kind {
            Kind::Slicer(slicer) => {
                text.push_str(&format!(",\"scheme\":{}", quote(slicer.scheme)));
                if let Some(defect) = &slicer.defect {
                    text.push_str(&format!(",\"defect\":{}", quote(defect)));
                }
                text.push_str(&config(&slicer.config));
            }
            Kind::Dev { holder } => text.push_str(&format!(",\"holder\":{}", quote(holder))),
            Kind::Disk { disk, .. } => {
                if let Some(disk) = self.disks.get(*disk) {
                    text.push_str(&format!(",\"state\":\"{}\"", disk.state));
                    if let Some(made) = &disk.made {
                        text.push_str(&config(&made.config()));
                    }
                }
            }
            Kind::Taste => {}
        }
        text.push('}');
        text
    }
}

fn json_provider(provider: &Provider) -> String {
    let mut text = format!(
        "{{\"id\":{},\"geom\":{},\"name\":{},\"mediasize\":{},\"sectorsize\":{},\
         \"stripesize\":{},\"offset\":{},\"mode\":{},\"tasted\":\"{:?}\",\"generation\":{}",
        provider.id,
        provider.geom,
        quote(&provider.name),
        provider.media_size,
        provider.sector_size,
        provider.stripe_size,
        provider.base.offset,
        mode(provider.counts),
        provider.tasted,
        provider.generation
    );
    if let Some(errno) = provider.error {
        text.push_str(&format!(",\"error\":{}", quote(errno.name())));
    }
    if let Some(slice) = &provider.slice {
        text.push_str(&format!(",\"index\":{}", slice.index));
        text.push_str(&config(&slice.config));
    }
    text.push('}');
    text
}

fn json_consumer(consumer: &Consumer) -> String {
    format!(
        "{{\"id\":{},\"geom\":{},\"provider\":{},\"mode\":{},\"inflight\":{}}}",
        consumer.id,
        consumer.geom,
        consumer.provider,
        mode(consumer.counts),
        consumer.in_flight
    )
}

fn mode(counts: Counts) -> String {
    quote(&format!("{counts}"))
}

fn config(entries: &[(&'static str, String)]) -> String {
    let fields = entries
        .iter()
        .map(|(key, value)| format!("{}:{}", quote(key), quote(value)));
    format!(",\"config\":{{{}}}", join(fields))
}

fn join(entries: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for entry in entries {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&entry);
    }
    text
}

/// A JSON string.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(letter);
            }
            control if u32::from(control) < 0x20 => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quoted_text_is_valid_json() {
        assert_eq!(
            quote("a\"b\\c\nd\u{fffd}"),
            "\"a\\\"b\\\\c\\u000ad\u{fffd}\""
        );
    }
}
