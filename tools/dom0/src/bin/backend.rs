//! `backend`: a block backend as a process of dom0; see [`dom0::backend`].
#![forbid(unsafe_code)]

use anyhow::Result;
use dom0::backend::{device, options};
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    match options::Options::parse(lexopt::Parser::from_env()) {
        Ok(options) => device::run(options).map(|()| ExitCode::SUCCESS),
        Err(error) => {
            eprint!("backend: {error:#}\n{}", options::USAGE);
            Ok(ExitCode::from(2))
        }
    }
}
