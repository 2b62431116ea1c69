//! Where the nodes of GEOM's graph go.
//!
//! A geom stands on one provider at most, and a provider belongs to one geom: the graph is a
//! forest. It is drawn from left to right, each layer in its column; leaves have a row each, and
//! what stands below them is in the middle.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use geom::id::ProviderId;
use geom::{GeomInfo, ProviderInfo, Tasted};

use crate::text;

/// The most nodes that are drawn.
pub const NODES: usize = 160;
/// Deeper than a graph can be.
const DEEPEST: usize = 32;
/// Height of a row.
const ROW: u32 = 52;
/// Height of a node.
pub const HEIGHT: u32 = 40;
/// Between columns.
const GAP: u32 = 44;
/// Around it all.
const MARGIN: u32 = 4;
/// The longest line of a node, in characters.
const LONGEST: usize = 36;

/// What a node is, which says how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A disk, or what was made on request.
    Source,
    /// What reads a table.
    Table,
    /// Who holds a provider.
    Holder,
    /// What can be opened.
    Provider,
}

/// A node with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// How it is drawn.
    pub look: Look,
    /// Lost, or going.
    pub lost: bool,
    /// Requests are under way to it from below.
    pub busy: bool,
    /// Its name.
    pub title: String,
    /// How it is: open counts, mostly.
    pub state: String,
    /// What else there is to say.
    pub subtitle: String,
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// What it stands on: an index.
    pub below: Option<usize>,
    column: usize,
}

/// The graph with everything in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The nodes; each comes after the one it stands on.
    pub nodes: Vec<Node>,
    /// There were too many.
    pub more: bool,
    /// Width of it all.
    pub width: u32,
    /// Height of it all.
    pub height: u32,
}

/// Puts geoms and providers in their places.
#[must_use]
pub fn layout(geoms: &[GeomInfo], providers: &[ProviderInfo]) -> Layout {
    let mut layout = Layout {
        height: MARGIN,
        ..Layout::default()
    };
    let graph = Graph { geoms, providers };
    for geom in geoms.iter().filter(|geom| geom.consumer.is_none()) {
        if layout.is_full() {
            break;
        }
        layout.add_geom(&graph, geom, None, 0);
    }
    layout.place_columns();
    layout
}

struct Graph<'a> {
    geoms: &'a [GeomInfo],
    providers: &'a [ProviderInfo],
}

impl Graph<'_> {
    fn provider(&self, id: ProviderId) -> Option<&ProviderInfo> {
        self.providers.iter().find(|provider| provider.id == id)
    }

    fn above(&self, id: ProviderId) -> impl Iterator<Item = &GeomInfo> {
        let on = move |geom: &&GeomInfo| geom.consumer.is_some_and(|c| c.provider == id);
        self.geoms.iter().filter(on)
    }
}

impl Layout {
    /// Adds a geom and all above it; returns where its middle is.
    fn add_geom(
        &mut self,
        graph: &Graph<'_>,
        geom: &GeomInfo,
        below: Option<usize>,
        column: usize,
    ) -> Option<u32> {
        let busy = geom.consumer.is_some_and(|consumer| consumer.in_flight > 0);
        let look = match geom.class {
            "DEV" | "TASTE" => Look::Holder,
            _ if geom.consumer.is_none() => Look::Source,
            _ => Look::Table,
        };
        let at = self.push(look, geom_texts(geom), below, column)?;
        // A disk has its state there.
        let leaving = look == Look::Source && !matches!(&*geom.detail, "live" | "queued");
        self.mark(at, geom.withering || leaving, busy);
        let mut middles = Vec::new();
        for id in &geom.providers {
            // A table may have thousands, and finding each takes a look at all.
            if self.is_full() {
                break;
            }
            let provider = graph.provider(*id);
            middles.extend(provider.and_then(|p| self.add_provider(graph, p, at, column + 1)));
        }
        Some(self.place_row(at, &middles))
    }

    fn add_provider(
        &mut self,
        graph: &Graph<'_>,
        provider: &ProviderInfo,
        below: usize,
        column: usize,
    ) -> Option<u32> {
        let texts = provider_texts(provider);
        let at = self.push(Look::Provider, texts, Some(below), column)?;
        self.mark(at, provider.error.is_some(), false);
        let mut middles = Vec::new();
        for geom in graph.above(provider.id) {
            if self.is_full() {
                break;
            }
            middles.extend(self.add_geom(graph, geom, Some(at), column + 1));
        }
        Some(self.place_row(at, &middles))
    }

    /// Whether no more fits: whoever asks has more.
    fn is_full(&mut self) -> bool {
        let full = self.nodes.len() == NODES;
        self.more |= full;
        full
    }

    fn push(
        &mut self,
        look: Look,
        [title, state, subtitle]: [String; 3],
        below: Option<usize>,
        column: usize,
    ) -> Option<usize> {
        if self.is_full() || column > DEEPEST {
            self.more = true;
            return None;
        }
        let (title, subtitle) = (cut(title), cut(subtitle));
        self.nodes.push(Node {
            look,
            lost: false,
            busy: false,
            width: (width(&title, 8) + width(&state, 7) + 8).max(width(&subtitle, 7)) + 24,
            title,
            state,
            subtitle,
            x: 0,
            y: 0,
            below,
            column,
        });
        Some(self.nodes.len() - 1)
    }

    fn mark(&mut self, at: usize, lost: bool, busy: bool) {
        if let Some(node) = self.nodes.get_mut(at) {
            (node.lost, node.busy) = (lost, busy);
        }
    }

    /// The middle between the first and the last above it; a new row if there is none.
    fn place_row(&mut self, at: usize, above: &[u32]) -> u32 {
        let middle = match above {
            [] => {
                self.height += ROW;
                self.height - ROW + HEIGHT / 2
            }
            [first, ..] => first.midpoint(*above.last().unwrap_or(first)),
        };
        if let Some(node) = self.nodes.get_mut(at) {
            node.y = middle - HEIGHT / 2;
        }
        middle
    }

    /// Each column is as wide as its widest node, and so are its nodes.
    fn place_columns(&mut self) {
        let columns = self.nodes.iter().map(|node| node.column + 1).max();
        let mut x = MARGIN;
        for column in 0..columns.unwrap_or(0) {
            let of_column = |node: &&mut Node| node.column == column;
            let widths = self.nodes.iter().filter(|node| node.column == column);
            let width = widths.map(|node| node.width).max().unwrap_or(0);
            for node in self.nodes.iter_mut().filter(of_column) {
                (node.x, node.width) = (x, width);
            }
            x += width + GAP;
        }
        self.width = x.saturating_sub(GAP) + MARGIN;
        self.height = self.height.saturating_sub(ROW - HEIGHT) + MARGIN;
    }
}

/// Name, state, and what else there is to say.
fn geom_texts(geom: &GeomInfo) -> [String; 3] {
    match geom.class {
        "DEV" => {
            let counts = geom.consumer.map(|consumer| consumer.counts);
            let counts = counts.map(|counts| format!("{counts}"));
            let under_way = geom.consumer.map_or(0, |consumer| consumer.in_flight);
            let subtitle = match under_way {
                0 => String::from("idle"),
                count => format!("{count} under way"),
            };
            [geom.detail.clone(), counts.unwrap_or_default(), subtitle]
        }
        "TASTE" => {
            let subtitle = String::from("reads for tables");
            [String::from("taste"), String::new(), subtitle]
        }
        class => {
            let withers = if geom.withering { "withers" } else { "" };
            let defect = if geom.defect.is_some() {
                ", defect"
            } else {
                ""
            };
            let subtitle = format!("{}{defect}", geom.detail);
            [format!("{class} {}", geom.name), withers.into(), subtitle]
        }
    }
}

fn provider_texts(provider: &ProviderInfo) -> [String; 3] {
    let mut subtitle = text::bytes(provider.media_size);
    for part in [&provider.kind, &provider.label] {
        if !part.is_empty() {
            subtitle = format!("{subtitle} \u{b7} {part}");
        }
    }
    let state = match (provider.error, provider.tasted) {
        (Some(errno), _) => format!("lost: {errno}"),
        (None, Tasted::Pending | Tasted::Running) => String::from("tasting"),
        (None, Tasted::Late) => String::from("no answer yet"),
        (None, Tasted::Failed(errno)) => format!("untasted: {errno}"),
        (None, Tasted::Done | Tasted::Writing | Tasted::Never) => format!("{}", provider.counts),
    };
    [provider.name.clone(), state, subtitle]
}

fn cut(text: String) -> String {
    if text.chars().count() <= LONGEST {
        return text;
    }
    let kept = text.chars().take(LONGEST - 1);
    kept.chain(['\u{2026}']).collect()
}

/// How wide a line is about, given a character's width.
fn width(text: &str, letter: u32) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(0) * letter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn every_node_stands_right_of_what_it_stands_on_and_none_on_another() {
        let snapshot = example::snapshot();
        let layout = layout(&snapshot.geoms, &snapshot.providers);
        assert_eq!(
            layout.nodes.len(),
            snapshot.geoms.len() + snapshot.providers.len()
        );
        for (at, node) in layout.nodes.iter().enumerate() {
            assert!(node.x + node.width <= layout.width && node.y + HEIGHT <= layout.height);
            if let Some(below) = node.below {
                let other = &layout.nodes[below];
                assert!(
                    below < at && other.x + other.width < node.x,
                    "{}",
                    node.title
                );
            }
            for other in &layout.nodes[..at] {
                let beside = node.x >= other.x + other.width || other.x >= node.x + node.width;
                let apart = node.y >= other.y + HEIGHT || other.y >= node.y + HEIGHT;
                assert!(beside || apart, "{} is on {}", node.title, other.title);
            }
        }
    }

    #[test]
    fn what_is_lost_and_what_is_busy_shows() {
        let mut snapshot = example::snapshot();
        let held = |geom: &&mut GeomInfo| geom.detail == "blkback 3/51712";
        let holder = snapshot.geoms.iter_mut().find(held).expect("a holder");
        holder.consumer.as_mut().expect("a consumer").in_flight = 7;
        snapshot.geoms[0].detail = "draining".into();
        let layout = layout(&snapshot.geoms, &snapshot.providers);
        let lost = layout.nodes.iter().filter(|node| node.lost);
        assert_eq!(
            lost.map(|node| &*node.title).collect::<Vec<_>>(),
            ["DISK xbd0"]
        );
        let busy: Vec<&Node> = layout.nodes.iter().filter(|node| node.busy).collect();
        assert_eq!(busy.len(), 1);
        assert_eq!(busy[0].subtitle, "7 under way");
    }

    #[test]
    fn a_graph_that_is_too_large_is_cut() {
        let snapshot = example::snapshot();
        let mut geoms = Vec::new();
        for _ in 0..NODES {
            geoms.extend(snapshot.geoms.iter().cloned());
        }
        let layout = layout(&geoms, &snapshot.providers);
        assert!(layout.more && layout.nodes.len() == NODES);
    }

    #[test]
    fn p07_a_table_of_thousands_costs_no_more_than_it_shows() {
        let snapshot = example::snapshot();
        let table = snapshot
            .geoms
            .iter()
            .find(|geom| geom.consumer.is_none() && !geom.providers.is_empty());
        let mut geom = table.expect("a source").clone();
        // All are looked for behind many that are not meant.
        let (last, other) = (geom.providers[0], &snapshot.providers);
        let meant = other.iter().find(|provider| provider.id == last);
        let not = other.iter().find(|provider| provider.id != last);
        let mut providers = vec![not.expect("another").clone(); 4000];
        providers.push(meant.expect("it is there").clone());
        geom.providers = vec![last; 200_000];
        let began = std::time::Instant::now();
        let layout = layout(&[geom], &providers);
        assert!(layout.more && layout.nodes.len() == NODES);
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(1), "{took:?}");
    }
}
