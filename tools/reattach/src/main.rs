//! `reattach`: a driver domain was started anew, and every client gets its disks again.
//!
//! - [`options`]: the command line
//! - [`host`]: what all of this asks of dom0: xenstore, `xl`, time
//! - [`dom0`]: that, of a real one; by [`store`], xenstore's messages, and [`process`], programs
//!   that may take their time, but not for ever
//! - [`domain`]: which domain a word means
//! - [`disk`]: one disk of a client, as libxl notes it and as `xl` is told of it
//! - [`notes`]: the disks of a driver domain, and how they stand in a file
//! - [`restore`]: detaching and attaching
//! - [`reboot`]: the whole of it, around `xl reboot`
#![forbid(unsafe_code)]

mod disk;
mod dom0;
mod domain;
mod host;
#[cfg(test)]
mod model;
mod notes;
mod options;
mod process;
mod reboot;
mod restore;
mod store;

use std::fs;
use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use dom0::Dom0;
use host::Host;
use notes::Notes;
use options::{Command, Source};

/// The longest file that is read.
const LONGEST_FILE: u64 = 1 << 20;

fn main() -> ExitCode {
    let command = match options::parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("reattach: {error:#}\nTry reattach --help.");
            return ExitCode::from(2);
        }
    };
    match run(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("reattach: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what is asked for; whether all disks are back.
fn run(command: Command) -> Result<bool> {
    match command {
        Command::Help => print!("{}", options::HELP),
        Command::Save { domain, file } => save(&mut Dom0::open()?, &domain, file.as_deref())?,
        Command::Restore { source, to } => {
            let host = &mut Dom0::open()?;
            let notes = match source {
                Source::File(path) => read(&path)?,
                Source::Domain(id) => Notes::take(host, id, &id.to_string())?,
                Source::Gone => Notes::take_of_the_gone(host)?,
            };
            let to = to.unwrap_or_else(|| notes.domain.clone());
            return if notes.disks.is_empty() {
                restore::report(host, &to)
            } else {
                restore::restore(host, &notes, &to)
            };
        }
        Command::Reboot { domain } => return reboot::reboot(&mut Dom0::open()?, &domain),
    }
    Ok(true)
}

fn save(host: &mut impl Host, domain: &str, file: Option<&str>) -> Result<()> {
    let (id, name) = domain::find_or_gone(host, domain)?;
    let text = Notes::take(host, id, &name)?.to_string();
    let Some(file) = file else {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    };
    // The old notes, or the new ones, and nothing in between.
    let fresh = format!("{file}.new");
    fs::write(&fresh, text)
        .and_then(|()| fs::rename(&fresh, file))
        .with_context(|| format!("cannot write {file}"))
}

fn read(path: &str) -> Result<Notes> {
    let file = fs::File::open(path).with_context(|| format!("cannot read {path}"))?;
    let mut text = String::new();
    file.take(LONGEST_FILE + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {path}"))?;
    if text.len() as u64 > LONGEST_FILE {
        bail!("{path} is longer than any notes are");
    }
    Notes::parse(&text).with_context(|| format!("{path} has no notes of `reattach save`"))
}
