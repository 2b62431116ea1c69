//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::Parser;
use lexopt::prelude::{Long, Short, Value, ValueExt as _};

use crate::{image, structure, test};

/// What a user asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print the commands, or one of them.
    Help(&'static str),
    /// Build the image.
    Build,
    /// Check the structure.
    Check,
    /// Look a log's addresses up.
    Symbolize(PathBuf),
    /// Run the gate.
    Test(test::Options),
}

const OVERVIEW: &str = "\
cargo xtask COMMAND

  build              build the image: target/xenolith/xenolith
  check              check the structure: unsafe, dependencies, sizes, names
  symbolize LOG      source lines for the addresses in an epitaph
  test               the gate: everything that can be checked

`cargo xtask COMMAND --help` tells more.
";

const BUILD: &str = "\
cargo xtask build

Builds the image and checks the finished file. Leaves
  target/xenolith/xenolith        what `xl create` loads
  target/xenolith/xenolith.debug  symbols and lines, for `cargo xtask symbolize`
";

const CHECK: &str = "\
cargo xtask check

Checks the structure: unsafe only where UNSAFE.md says, dependencies as in ARCHITECTURE.md, small
files, good names.
";

const SYMBOLIZE: &str = "\
cargo xtask symbolize LOG

Prints the lines of LOG (a console log) that hold addresses of the image's code, and below each
the functions, files and lines. The image must be the one that wrote the log.
";

/// Reads the command line.
pub(crate) fn parse(mut parser: Parser) -> Result<Command> {
    let Some(argument) = parser.next()? else {
        return Ok(Command::Help(OVERVIEW));
    };
    match argument {
        Short('h') | Long("help") => Ok(Command::Help(OVERVIEW)),
        Value(name) => {
            let name = name.string()?;
            match name.as_str() {
                "help" => Ok(Command::Help(OVERVIEW)),
                "build" => plain(parser, BUILD, Command::Build),
                "check" => plain(parser, CHECK, Command::Check),
                "symbolize" => symbolize(parser),
                "test" => test::Options::parse(parser)
                    .map(|options| options.map_or(Command::Help(test::HELP), Command::Test)),
                _ => bail!("there is no command {name:?}: see `cargo xtask help`"),
            }
        }
        other => Err(other.unexpected().into()),
    }
}

/// A command without arguments.
fn plain(mut parser: Parser, help: &'static str, command: Command) -> Result<Command> {
    match parser.next()? {
        None => Ok(command),
        Some(Short('h') | Long("help")) => Ok(Command::Help(help)),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn symbolize(mut parser: Parser) -> Result<Command> {
    let mut log = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help(SYMBOLIZE)),
            Value(path) if log.is_none() => log = Some(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    log.map(Command::Symbolize)
        .context("which log? `cargo xtask symbolize LOG`")
}

/// Does what was asked for. Errors are the command's own failure to do its work; a gate that found
/// faults is a failing status.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Help(text) => print!("{text}"),
        Command::Build => image::build::command()?,
        Command::Check => structure::command()?,
        Command::Symbolize(log) => image::symbolize::command(&log)?,
        Command::Test(options) => return test::command(&options),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Command, String> {
        parse(Parser::from_args(words)).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn each_command_is_read() {
        assert_eq!(read(&["build"]), Ok(Command::Build));
        assert_eq!(read(&["check"]), Ok(Command::Check));
        assert_eq!(
            read(&["symbolize", "a.log"]),
            Ok(Command::Symbolize("a.log".into()))
        );
        let options = test::Options {
            long: true,
            host_only: true,
            filter: Some("gone".into()),
        };
        assert_eq!(
            read(&["test", "--long", "--host-only", "--filter", "gone"]),
            Ok(Command::Test(options))
        );
    }

    #[test]
    fn help_is_found_in_every_place_people_look() {
        for words in [&[][..], &["help"], &["--help"], &["-h"]] {
            assert_eq!(read(words), Ok(Command::Help(OVERVIEW)));
        }
        assert_eq!(read(&["build", "--help"]), Ok(Command::Help(BUILD)));
        assert_eq!(read(&["test", "-h"]), Ok(Command::Help(test::HELP)));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let error = |words| read(words).unwrap_err();
        assert!(error(&["fly"]).contains("there is no command \"fly\""));
        assert!(error(&["build", "--fast"]).contains("--fast"));
        assert!(error(&["symbolize"]).contains("which log?"));
        assert!(error(&["test", "extra"]).contains("extra"));
    }
}
