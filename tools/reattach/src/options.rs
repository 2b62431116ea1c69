//! The command line.

use anyhow::{Result, bail};
use lexopt::{Arg, Parser, ValueExt as _};

use crate::domain;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
reattach: gives clients their disks again when a driver domain was started anew.
In dom0, as root.

  reattach reboot DOMAIN
      notes what DOMAIN serves, has it rebooted in order (xl reboot), waits
      until it is there again, and attaches every client's disks to it.

  reattach restore --to DOMAIN
      after a crash: attaches to DOMAIN what a domain served that is gone.
      --from ID     whose disks, if several are gone, or if the old domain is
                    still there (on_crash = \"preserve\")
      Where none is gone it says how the disks of DOMAIN stand.

  reattach save DOMAIN [FILE]
      notes what DOMAIN serves in FILE, or on the standard output.
      A domain that is gone goes by its number.
  reattach restore FILE [--to DOMAIN]
      attaches what FILE says to DOMAIN, or to the domain of the same name.

Each disk's fate is one line. The exit status is 0 if every client that is still
there has its disks, 1 if not, 2 if the command line is wrong. Everything may be
run again: what is back stays as it is.

A client sees its disk go, with errors for what is not answered, and come again;
what was on it must be mounted anew.

Example:
  # reattach reboot storage
  storage (5) serves 2 disks; it is rebooted
  storage is there again, as domain 8
  Domain-0 (0) xvdf is back, served by storage (8)
  guest (7) xvda is back, served by storage (8)
";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Say how it is called.
    Help,
    /// Note what a domain serves.
    Save {
        /// Its name or number.
        domain: String,
        /// Where to; the standard output if nowhere.
        file: Option<String>,
    },
    /// Attach disks to a domain.
    Restore {
        /// Which.
        source: Source,
        /// To which; the one they were served by, by its name, if none.
        to: Option<String>,
    },
    /// Do all of it.
    Reboot {
        /// The domain's name or number.
        domain: String,
    },
}

/// Where it stands which disks are to be attached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In a file.
    File(String),
    /// In xenstore: those of this domain.
    Domain(u32),
    /// In xenstore: those of the domain that is gone.
    Gone,
}

/// Reads the command line.
pub(crate) fn parse(mut parser: Parser) -> Result<Command> {
    let (mut words, mut from, mut to) = (Vec::new(), None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            Arg::Long("to") => to = Some(parser.value()?.string()?),
            Arg::Long("from") => {
                let text = parser.value()?.string()?;
                let Some(id) = domain::number(&text) else {
                    bail!("--from {text:?}: a domain's number is wanted");
                };
                from = Some(id);
            }
            Arg::Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut words = words.into_iter();
    let Some(command) = words.next() else {
        bail!("save, restore or reboot?");
    };
    let (first, second) = (words.next(), words.next());
    let command = match (command.as_str(), first, second, from, to) {
        ("save", Some(domain), file, None, None) => Command::Save { domain, file },
        ("reboot", Some(domain), None, None, None) => Command::Reboot { domain },
        ("save" | "reboot", None, ..) => bail!("{command}: which domain?"),
        ("restore", Some(file), None, None, to) => Command::Restore {
            source: Source::File(file),
            to,
        },
        ("restore", None, None, _, None) => bail!("restore: --to which domain?"),
        ("restore", None, None, from, to) => Command::Restore {
            source: from.map_or(Source::Gone, Source::Domain),
            to,
        },
        ("save" | "restore" | "reboot", ..) => bail!("{command}: these words do not go together"),
        _ => bail!("{command:?} is none of save, restore and reboot"),
    };
    if words.next().is_some() {
        bail!("there are more words than can be meant");
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command> {
        let words = std::iter::once("reattach").chain(line.split_whitespace());
        parse(Parser::from_iter(words))
    }

    #[test]
    fn a_command_line_is_read() {
        let (domain, file) = ("storage".to_owned(), Some("notes".to_owned()));
        let to = Some("new".to_owned());
        for (line, meant) in [
            ("--help", Command::Help),
            ("save -h", Command::Help),
            (
                "save storage",
                Command::Save {
                    domain: domain.clone(),
                    file: None,
                },
            ),
            (
                "save storage notes",
                Command::Save {
                    domain: domain.clone(),
                    file,
                },
            ),
            ("reboot storage", Command::Reboot { domain }),
            (
                "restore notes",
                Command::Restore {
                    source: Source::File("notes".into()),
                    to: None,
                },
            ),
            (
                "restore --to new",
                Command::Restore {
                    source: Source::Gone,
                    to: to.clone(),
                },
            ),
            (
                "restore --from 5 --to=new",
                Command::Restore {
                    source: Source::Domain(5),
                    to,
                },
            ),
        ] {
            assert_eq!(read(line).unwrap(), meant, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for line in [
            "",
            "save",
            "reboot",
            "reboot a b",
            "save a b c",
            "restore",
            "restore --from 5",
            "restore --from x --to new",
            "restore file --from 5 --to new",
            "restore file other",
            "save a --to b",
            "reboot a --from 5",
            "destroy a",
            "save a --what",
            "restore --to",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
