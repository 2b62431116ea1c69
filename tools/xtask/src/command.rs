//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::Parser;
use lexopt::prelude::{Long, Short, Value, ValueExt as _};

use crate::cargo::Cargo;
use crate::nest::{self, Choice};
use crate::{bench, image, run, shell, structure, test, tool};

/// What a user asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print the commands, or one of them.
    Help(&'static str),
    /// Build the image.
    Build,
    /// Build an image of the user's own.
    Image(String),
    /// Build the program for a dom0.
    Tool,
    /// Check the structure.
    Check,
    /// Look a log's addresses up.
    Symbolize(PathBuf),
    /// Run the gate.
    Test(test::Options),
    /// Replay a run of the simulator.
    Sim(u64),
    /// Show Xenolith's console over a demo disk, or a tour of it.
    Run { nest: Choice, tour: bool },
    /// A shell in dom0.
    LabShell(Choice),
    /// Measure it beside its peers.
    Bench(bench::Bench),
}

const OVERVIEW: &str = "\
cargo xtask COMMAND

  run [--tour]       everything from nothing to Xenolith's console in nested Xen
  build              build the image: target/xenolith/xenolith
  image --example N  build the image of boot/examples/N.rs: target/xenolith/N
  tool               build the program for a dom0: target/xenolith/reattach
  check              check the structure: unsafe, dependencies, sizes, names
  symbolize LOG      source lines for the addresses in an epitaph
  test               the gate: everything that can be checked
  sim --seed N       replay a run of the simulator
  lab shell          a shell in the nest's dom0, image and configs in place
  bench              how it serves disks, beside a Linux driver domain
  bench network      how it moves packets, beside a Linux guest
  bench boot         how fast it boots, beside its peers

`cargo xtask COMMAND --help` tells more.
";

const BUILD: &str = "\
cargo xtask build

Builds the image and checks the finished file. Leaves
  target/xenolith/xenolith        what `xl create` loads
  target/xenolith/xenolith.debug  symbols and lines, for `cargo xtask symbolize`
";

const IMAGE: &str = "\
cargo xtask image --example NAME

Builds the image of the application boot/examples/NAME.rs and checks the finished file. Leaves
  target/xenolith/NAME            what `xl create` loads, with 'kernel=\"target/xenolith/NAME\"'
  target/xenolith/NAME.debug      symbols and lines
";

const TOOL: &str = "\
cargo xtask tool

Builds the program that gives clients their disks again when a driver domain was started anew,
statically linked. Leaves
  target/xenolith/reattach        for dom0; `reattach --help` tells more
";

const CHECK: &str = "\
cargo xtask check

Checks the structure: unsafe only where UNSAFE.md says, dependencies as in ARCHITECTURE.md, small
files, good names.
";

const SYMBOLIZE: &str = "\
cargo xtask symbolize LOG

Prints the backtraces of the epitaphs in LOG (a console log), and below each line the functions,
files and lines. The image must be the one that wrote the log.
";

const SIM: &str = "\
cargo xtask sim --seed N

Runs the shipped drivers and GEOM against a simulated Xen, as seed N has it, and prints what
happens. A failing test names its seed.
";

const RUN: &str = "\
cargo xtask run [--tour] [--suite NAME] [--icount]

Builds the image and the lab, boots QEMU with Xen and a Linux dom0, starts Xenolith over a demo
disk, and shows its console; prints where a browser on this machine finds its page. Without a
terminal, or with --tour, a scripted tour instead.

  --tour        a tour: a disk is read, pulled and attached again
";

const LAB: &str = "\
cargo xtask lab shell [--suite NAME] [--icount]

Boots the nest and opens a shell in its dom0. The image and xl-configs are there:
`xl create -c xl-configs/shell.cfg`.

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
                "image" => image_of(parser),
                "tool" => plain(parser, TOOL, Command::Tool),
                "check" => plain(parser, CHECK, Command::Check),
                "symbolize" => symbolize(parser),
                "sim" => sim(parser),
                "run" => with_nest(parser, RUN, None),
                "lab" => with_nest(parser, LAB, Some("shell")),
                "bench" => bench::Bench::parse(parser)
                    .map(|bench| bench.map_or(Command::Help(bench::HELP), Command::Bench)),
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

/// A command that boots a nest; `what` is the one word that must follow it.
fn with_nest(mut parser: Parser, help: &'static str, what: Option<&str>) -> Result<Command> {
    let mut nest = Choice::default();
    let mut tour = false;
    let mut said = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help(help)),
            Long("tour") if what.is_none() => tour = true,
            Long(name) => {
                let name = name.to_owned();
                if !nest.option(&name, &mut parser)? {
                    bail!("there is no option --{name} here");
                }
            }
            Value(word) if !said && what.is_some_and(|what| word == what) => said = true,
            other => return Err(other.unexpected().into()),
        }
    }
    match what {
        None => Ok(Command::Run { nest, tour }),
        Some(what) if !said => bail!("what? There is `{what}`"),
        Some(_) => Ok(Command::LabShell(nest)),
    }
}

fn image_of(mut parser: Parser) -> Result<Command> {
    let mut example = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help(IMAGE)),
            Long("example") => example = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let example = example.context("which image? `cargo xtask image --example NAME`")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if example == "xenolith" || example.is_empty() || !example.chars().all(plain) {
        bail!("an example cannot be called {example:?}");
    }
    Ok(Command::Image(example))
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

fn sim(mut parser: Parser) -> Result<Command> {
    let mut seed = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help(SIM)),
            Long("seed") => seed = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    seed.map(Command::Sim)
        .context("which seed? `cargo xtask sim --seed N`")
}

/// Help, with the options that all commands with a nest share.
fn print_help(text: &str) {
    print!("{text}");
    if [RUN, LAB, bench::HELP].contains(&text) {
        print!("{}", nest::OPTIONS);
    }
}

/// Does what was asked for. Errors are the command's own failure to do its work; a gate that found
/// faults is a failing status.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Help(text) => print_help(text),
        Command::Run { nest, tour } => return run::command(nest, tour),
        Command::LabShell(nest) => return shell::command(nest),
        Command::Bench(bench) => return bench::command(&bench),
        Command::Build => image::build::command()?,
        Command::Image(name) => image::build::command_for_example(&name)?,
        Command::Tool => tool::command()?,
        Command::Check => structure::command()?,
        Command::Symbolize(log) => image::symbolize::command(&log)?,
        // The simulator holds the whole kernel: it is its own program, so that xtask is built fast.
        Command::Sim(seed) => Cargo::new("run")
            .args([
                "--quiet",
                "--package",
                "sim",
                "--",
                "--seed",
                &seed.to_string(),
            ])
            .run()?,
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
        assert_eq!(read(&["tool"]), Ok(Command::Tool));
        assert_eq!(read(&["check"]), Ok(Command::Check));
        assert_eq!(
            read(&["symbolize", "a.log"]),
            Ok(Command::Symbolize("a.log".into()))
        );
        assert_eq!(
            read(&["image", "--example", "echo"]),
            Ok(Command::Image("echo".into()))
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
    fn commands_with_a_nest_share_their_options() {
        let nest = Choice {
            suite: lab::Suite::Bookworm,
            icount: true,
        };
        assert_eq!(
            read(&["run", "--tour", "--suite", "bookworm", "--icount"]),
            Ok(Command::Run { nest, tour: true })
        );
        assert_eq!(
            read(&["lab", "--icount", "shell", "--suite=bookworm"]),
            Ok(Command::LabShell(nest))
        );
        assert_eq!(
            read(&["bench", "boot"]),
            Ok(Command::Bench(bench::Bench::Boot(Choice::default())))
        );
        assert!(read(&["lab"]).unwrap_err().contains("There is `shell`"));
        assert!(read(&["bench", "boot", "boot"]).is_err());
        assert!(
            read(&["lab", "shell", "--tour"])
                .unwrap_err()
                .contains("--tour")
        );
        assert!(
            read(&["run", "--suite", "sid"])
                .unwrap_err()
                .contains("sid")
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
        assert!(error(&["image"]).contains("--example NAME"));
        assert!(error(&["image", "--example", "../echo"]).contains("cannot be called"));
        assert!(error(&["image", "--example", "xenolith"]).contains("cannot be called"));
        assert!(error(&["symbolize"]).contains("which log?"));
        assert!(error(&["sim"]).contains("which seed?"));
        assert!(error(&["sim", "--seed", "-1"]).contains("-1"));
        assert!(error(&["test", "extra"]).contains("extra"));
    }
}
