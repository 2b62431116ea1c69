//! The project's commands: `cargo xtask help` lists them.
//!
//! - [`command`]: the command line
//! - [`image`]: building, checking and symbolising the image
//! - [`structure`]: the house rules, as checks
//! - [`mod@test`]: the gate
//! - [`run`], [`shell`], [`mod@bench`]: the commands that show it in nested Xen
//! - [`tool`]: building the program for a dom0
//! - [`nest`]: a nest with the image in place
//! - [`cargo`], [`project`]: running cargo, and where things are

mod bench;
mod cargo;
mod command;
mod image;
mod nest;
mod project;
mod run;
mod shell;
mod structure;
mod test;
mod tool;

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
