//! The graph for Graphviz.

use alloc::format;
use alloc::string::String;

use crate::mesh::Geom;
use crate::node::Kind;

impl Geom {
    /// A `digraph` for `dot -Tsvg`: boxes are geoms, ellipses providers, dashed what is lost.
    #[must_use]
    pub fn dot(&self) -> String {
        self.read(|graph| {
            let mut text = String::from("digraph geom {\n  rankdir=BT;\n");
            for (_, node) in graph.geoms.sorted() {
                let label = match &node.kind {
                    Kind::Dev { holder } => format!("DEV\\n{}", escape(holder)),
                    _ => format!("{}\\n{}", node.class_name(), escape(&node.name)),
                };
                let style = style(node.wither);
                text.push_str(&format!(
                    "  g{} [shape=box,label=\"{label}\"{style}];\n",
                    node.id
                ));
                if let Some(consumer) = node.consumer.and_then(|id| graph.consumers.get(id)) {
                    let label = consumer.counts;
                    let below = consumer.provider;
                    let geom = node.id;
                    text.push_str(&format!("  p{below} -> g{geom} [label=\"{label}\"];\n"));
                }
            }
            for (_, provider) in graph.providers.sorted() {
                let (id, geom) = (provider.id, provider.geom);
                let label = format!("{}\\n{}", escape(&provider.name), provider.counts);
                let style = style(provider.error.is_some());
                text.push_str(&format!("  p{id} [label=\"{label}\"{style}];\n"));
                text.push_str(&format!("  g{geom} -> p{id};\n"));
            }
            text.push_str("}\n");
            text
        })
    }
}

fn style(lost: bool) -> &'static str {
    if lost { ",style=dashed" } else { "" }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
