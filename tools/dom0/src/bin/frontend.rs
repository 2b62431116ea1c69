//! `frontend`: a block frontend as a process of dom0; see [`dom0::frontend`].
#![forbid(unsafe_code)]

use anyhow::Result;
use dom0::frontend::{device, options};
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    match options::Options::parse(lexopt::Parser::from_env()) {
        Ok(options) => device::run(options).map(|()| ExitCode::SUCCESS),
        Err(error) => {
            eprint!("frontend: {error:#}\n{}", options::USAGE);
            Ok(ExitCode::from(2))
        }
    }
}
