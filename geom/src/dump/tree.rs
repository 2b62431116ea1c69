//! The graph as an indented tree, one provider a line.

use alloc::format;
use alloc::string::String;

use crate::graph::Graph;
use crate::id::ProviderId;
use crate::mesh::Geom;
use crate::node::{Kind, Node};
use crate::provider::{Provider, Tasted};

/// Deeper than the graph can be; a bound for the printer.
const DEEPEST: usize = 32;

impl Geom {
    /// The graph as a tree, each geom below the provider it is attached to:
    ///
    /// ```text
    /// xbd0  DISK  64.0 MiB, sectors of 512  r1w1e1
    ///   PART xbd0  GPT  r1w1e1
    ///     xbd0p1  32.0 MiB at 1048576  r1w1e0
    ///       DEV shell  r1w1e0
    /// ```
    #[must_use]
    pub fn tree(&self) -> String {
        self.read(|graph| {
            let mut text = String::new();
            let roots = graph
                .geoms
                .sorted()
                .into_iter()
                .map(|(_, node)| node)
                .filter(|node| node.consumer.is_none());
            for id in roots.flat_map(|node| &node.providers) {
                graph.tree_provider(&mut text, *id, 0);
            }
            text
        })
    }
}

impl Graph {
    fn tree_provider(&self, text: &mut String, id: ProviderId, depth: usize) {
        let Some(provider) = self.providers.get(id) else {
            return;
        };
        if depth > DEEPEST {
            return;
        }
        let indent = "  ".repeat(depth);
        let size = human(provider.media_size);
        let name = &provider.name;
        let what = match &provider.slice {
            None => {
                let class = self.geoms.get(provider.geom).map_or("", Node::class_name);
                format!("{class}  {size}, sectors of {}", provider.sector_size)
            }
            Some(slice) => {
                let kind = slice.config.iter().find(|(key, _)| *key == "type");
                let kind = kind
                    .map(|(_, value)| format!("  {value}"))
                    .unwrap_or_default();
                format!("{size} at {}{kind}", slice.start)
            }
        };
        let state = state(provider);
        text.push_str(&format!(
            "{indent}{name}  {what}  {}{state}\n",
            provider.counts
        ));
        for consumer in provider
            .consumers
            .iter()
            .filter_map(|id| self.consumers.get(*id))
        {
            let Some(node) = self.geoms.get(consumer.geom) else {
                continue;
            };
            let what = match &node.kind {
                Kind::Slicer(slicer) => {
                    let defect = slicer.defect.as_ref();
                    let defect = defect.map(|text| format!("  ({text})")).unwrap_or_default();
                    format!(
                        "{} {}  {}{defect}",
                        slicer.class_name, node.name, slicer.scheme
                    )
                }
                Kind::Dev { holder } => format!("DEV {holder}"),
                Kind::Taste => String::from("TASTE"),
                Kind::Disk { class, .. } => format!("{class} {}", node.name),
            };
            let withers = if node.wither { "  withering" } else { "" };
            text.push_str(&format!("{indent}  {what}  {}{withers}\n", consumer.counts));
            for above in &node.providers {
                self.tree_provider(text, *above, depth + 2);
            }
        }
    }
}

/// What is unusual about a provider, with two spaces before it.
fn state(provider: &Provider) -> String {
    if let Some(errno) = provider.error {
        return format!("  lost ({errno})");
    }
    match provider.tasted {
        Tasted::Pending | Tasted::Running => String::from("  tasting"),
        Tasted::Late => String::from("  untasted: no answer yet"),
        Tasted::Failed(errno) => format!("  untasted: {errno}"),
        Tasted::Done | Tasted::Writing | Tasted::Never => String::new(),
    }
}

/// A size for people.
pub(super) fn human(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = (bytes.checked_ilog2().unwrap_or(0) / 10) as usize;
    match power.checked_sub(1).and_then(|index| units.get(index)) {
        None => format!("{bytes} B"),
        Some(unit) => {
            let tenths = u128::from(bytes) * 10 / (1_u128 << (power * 10));
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}
