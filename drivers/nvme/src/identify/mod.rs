//! What Identify says of a controller, its namespaces, and which there are; pure.

pub(crate) mod controller;
pub(crate) mod list;
pub(crate) mod namespace;
