//! `cargo xtask run`: from nothing to Xenolith's console over a demo disk.
//!
//! - [`demo`]: the disk and the guest it is shown with
//! - [`tour`]: what is shown when nobody sits at a terminal

mod demo;
mod tour;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::Result;
use lab::shell::{FOR_EVER, WAY_OUT, attach};

use crate::image::build;
use crate::nest::{self, Choice};

/// Builds the image, boots the nest and shows the console: the user's own if there is a terminal, a
/// scripted tour if there is none or `tour` asks for it.
pub(crate) fn command(choice: Choice, tour: bool) -> Result<ExitCode> {
    build::command()?;
    let interactive = !tour && io::stdin().is_terminal();
    let mut options = choice.options();
    if interactive {
        options.time_limit = FOR_EVER;
    }
    let nest = nest::boot(&options)?;
    let disk = demo::disk(&nest)?;
    let _forward = demo::network(&nest)?;
    if !interactive {
        tour::show(&nest, &disk)?;
        return Ok(ExitCode::SUCCESS);
    }
    demo::put_config(&nest, &disk)?;
    eprintln!(
        "Xenolith's console; `help` lists its commands. Ctrl-] leaves it, {WAY_OUT} ends all."
    );
    attach(&nest, &format!("xl create -c {}", demo::CONFIG))?;
    Ok(ExitCode::SUCCESS)
}
