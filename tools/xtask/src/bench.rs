//! `cargo xtask bench`: figures, each a ratio to a named peer in the same nest.
//!
//! - [`options`]: its command line
//! - [`storage`]: how it serves disks
//! - [`network`]: how it moves packets
//! - [`boot`]: how fast it boots; [`guests`]: against whom
//! - [`figures`]: the smallest, the middle and the largest

mod boot;
mod figures;
mod guests;
mod network;
mod options;
mod storage;

use std::process::ExitCode;

pub(crate) use options::{Bench, HELP};
pub(crate) use storage::smoke;

/// Measures what is asked for.
pub(crate) fn command(bench: &Bench) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Storage(options) => storage::command(options),
        Bench::Network(options) => network::command(options),
        Bench::Boot(choice) => boot::command(*choice),
    }
}
