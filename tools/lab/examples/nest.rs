//! Boots a nest and runs commands in its dom0, or a shell if there are none:
//!
//!     cargo run -p lab --example nest -- [--suite bookworm] [--icount] [--memory MIB]
//!         [--limit SECONDS] [--serial] [--xen 'WORDS FOR XEN'] [--put HOSTFILE:DOM0PATH]...
//!         ['COMMAND']...
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use lab::{Nest, Options};
use lexopt::{Arg, Parser, ValueExt};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> Result<ExitCode> {
    let mut options = Options::default();
    let mut limit = Duration::from_secs(120);
    let (mut files, mut commands, mut serial) = (Vec::new(), Vec::new(), false);
    let mut arguments = Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("suite") => options.suite = arguments.value()?.parse()?,
            Arg::Long("icount") => options.icount = true,
            Arg::Long("memory") => options.memory = arguments.value()?.parse()?,
            Arg::Long("limit") => limit = Duration::from_secs(arguments.value()?.parse()?),
            Arg::Long("xen") => options.xen_arguments = arguments.value()?.string()?,
            Arg::Long("serial") => serial = true,
            Arg::Long("put") => files.push(arguments.value()?.string()?),
            Arg::Value(command) => commands.push(command.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let nest = Nest::boot(&options)?;
    for file in files {
        let Some((from, to)) = file.split_once(':') else {
            bail!("--put wants HOSTFILE:DOM0PATH")
        };
        nest.put(
            to,
            &std::fs::read(from).with_context(|| format!("reading {from}"))?,
        )?;
    }
    if commands.is_empty() {
        lab::shell::shell(&nest)?;
    }
    let mut failed = false;
    for command in commands {
        println!("# {command}");
        let output = nest.run_for(&command, limit)?;
        print!("{output}");
        failed |= !output.success();
    }
    if serial {
        println!("# serial log\n{}", nest.serial_log());
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
