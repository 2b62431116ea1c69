//! Pictures as SVG.
//!
//! - [`layout`]: where the nodes of GEOM's graph go
//! - [`graph`]: the graph
//! - [`spark`]: small curves and bars

pub mod graph;
pub mod layout;
pub mod spark;
