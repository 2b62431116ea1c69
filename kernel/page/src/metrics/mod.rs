//! `/metrics`: the domain for Prometheus.
//!
//! - [`exposition`]: the text format
//! - [`families`]: what there is to count, of the domain itself
//! - `storage`, `network`: of disks and exports, of interfaces and connections

pub mod exposition;
pub mod families;
mod network;
mod storage;
#[cfg(test)]
mod tests;
