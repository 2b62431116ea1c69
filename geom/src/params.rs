//! The numbers an embedder may choose.

use core::time::Duration;

/// Bounds of one [`Geom`](crate::Geom).
#[derive(Clone, Debug)]
pub struct Params {
    /// How long the taste of a provider may take before the provider counts as untasted. Measured
    /// from the start of each taste.
    pub taste_deadline: Duration,
    /// How many reads the tasters of one provider may cause together.
    pub taste_reads: u32,
    /// How many slicers may lie on top of each other. A provider at this depth is not tasted.
    pub max_depth: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            taste_deadline: Duration::from_secs(10),
            taste_reads: 512,
            max_depth: 3,
        }
    }
}
