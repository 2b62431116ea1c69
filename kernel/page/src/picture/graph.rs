//! GEOM's graph as SVG.

use alloc::string::String;

use crate::picture::layout::{HEIGHT, Layout, Look, Node};
use crate::text::{Escaped, put};

/// How its parts look; in a page of its own, and in a picture that stands alone.
pub const STYLE: &str = include_str!("graph.css");

/// The graph as an element of a page.
#[must_use]
pub fn element(layout: &Layout) -> String {
    drawn(layout, "")
}

/// The graph as a picture that stands alone.
#[must_use]
pub fn picture(layout: &Layout) -> String {
    drawn(layout, STYLE)
}

fn drawn(layout: &Layout, style: &str) -> String {
    let (width, height) = (layout.width.max(1), layout.height.max(1));
    let mut out = String::new();
    put(
        &mut out,
        format_args!(
            "<svg class=\"graph\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <title>GEOM: disks, tables, partitions and who holds them</title>\n"
        ),
    );
    if !style.is_empty() {
        put(&mut out, format_args!("<style>{style}</style>\n"));
    }
    for node in &layout.nodes {
        if let Some(below) = node.below.and_then(|below| layout.nodes.get(below)) {
            edge(&mut out, below, node);
        }
    }
    layout.nodes.iter().for_each(|node| box_of(&mut out, node));
    out.push_str("</svg>\n");
    out
}

/// A line from the right edge of what is below to the left edge of what is above.
fn edge(out: &mut String, below: &Node, above: &Node) {
    let (x, y) = (below.x + below.width, below.y + HEIGHT / 2);
    let (to_x, to_y) = (above.x, above.y + HEIGHT / 2);
    let middle = x.midpoint(to_x);
    let class = match (above.lost, above.busy) {
        (true, _) => "edge lost",
        (false, true) => "edge busy",
        (false, false) => "edge",
    };
    put(
        out,
        format_args!(
            "<path class=\"{class}\" d=\"M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}\"/>\n"
        ),
    );
}

fn box_of(out: &mut String, node: &Node) {
    let look = match node.look {
        Look::Source => "source",
        Look::Table => "table",
        Look::Holder => "holder",
        Look::Provider => "provider",
    };
    let lost = if node.lost { " lost" } else { "" };
    let radius = if node.look == Look::Provider {
        HEIGHT / 2
    } else {
        6
    };
    let Node { x, y, width, .. } = node;
    let (title, subtitle) = (Escaped(&node.title), Escaped(&node.subtitle));
    let (state, text) = (Escaped(&node.state), x + 14);
    put(
        out,
        format_args!(
            "<g class=\"{look}{lost}\"><title>{title} {state} {subtitle}</title>\
             <rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" rx=\"{radius}\"/>\
             <text x=\"{text}\" y=\"{}\"><tspan class=\"name\">{title}</tspan> \
             <tspan dx=\"4\">{state}</tspan></text>\
             <text x=\"{text}\" y=\"{}\">{subtitle}</text></g>\n",
            y + 17,
            y + 32,
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;
    use crate::picture::layout::layout;

    #[test]
    fn every_name_is_there_and_none_is_markup() {
        let mut snapshot = example::snapshot();
        snapshot.providers[1].label = "<script>'\"&".into();
        let layout = layout(&snapshot.geoms, &snapshot.providers);
        let svg = picture(&layout);
        for provider in &snapshot.providers {
            assert!(svg.contains(&provider.name), "{}", provider.name);
        }
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;&#39;&quot;&amp;"));
        assert_eq!(svg.matches("<g ").count(), layout.nodes.len());
        assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
        assert!(svg.contains("<style>") && !element(&layout).contains("<style>"));
    }

    #[test]
    fn a_domain_without_disks_has_an_empty_picture() {
        let svg = picture(&layout(&[], &[]));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
