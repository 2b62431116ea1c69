//! The domain for programs.
//!
//! - [`status`]: `/status.json`, made of a snapshot
//! - `writer`: JSON under way

pub mod status;
mod writer;
