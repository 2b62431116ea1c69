//! `cargo xtask lab shell`: a shell in the nest's dom0.

use std::process::ExitCode;

use anyhow::Result;
use lab::Options;
use lab::output::Ending;
use lab::shell::{FOR_EVER, shell};

use crate::image::build;
use crate::nest::{self, Choice};

/// Builds the image, boots the nest and opens the shell; its status is the shell's.
pub(crate) fn command(choice: Choice) -> Result<ExitCode> {
    build::command()?;
    let nest = nest::boot(&Options {
        time_limit: FOR_EVER,
        ..choice.options()
    })?;
    eprintln!("The image and xl-configs are here: try `xl create -c xl-configs/shell.cfg`.");
    Ok(match shell(&nest)? {
        Ending::Exited(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        _ => ExitCode::FAILURE,
    })
}
