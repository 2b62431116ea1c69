//! The project's commands: `cargo xtask help` lists them.
//!
//! - [`command`]: the command line
//! - [`image`]: building, checking and symbolising the image
//! - [`structure`]: the house rules, as checks
//! - [`test`]: the gate
//! - [`cargo`], [`project`]: running cargo, and where things are

mod cargo;
mod command;
mod image;
mod project;
mod structure;
mod test;

use std::process::ExitCode;

fn main() -> ExitCode {
    match command::parse(lexopt::Parser::from_env()).and_then(command::run) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
