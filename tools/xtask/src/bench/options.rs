//! The command line of `cargo xtask bench`.

use anyhow::{Result, ensure};
use lexopt::Parser;
use lexopt::prelude::{Long, Short, Value, ValueExt as _};

use crate::nest::Choice;

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bench {
    /// How it serves disks.
    Storage(Storage),
    /// How it moves packets.
    Network(Network),
    /// How fast it boots.
    Boot(Choice),
}

/// How its network is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Network {
    /// The nest.
    pub nest: Choice,
    /// A smoke: little of everything, one round.
    pub quick: bool,
    /// How many rounds, if not as many as usual.
    rounds: Option<u32>,
    /// Only jobs that contain this.
    filter: Option<String>,
}

/// How its serving disks is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Storage {
    /// The nest.
    pub nest: Choice,
    /// A smoke: one job on memory, one round.
    pub quick: bool,
    /// Linux against itself.
    pub linux_twice: bool,
    /// Which disks, on how many vCPUs.
    pub subject: Subject,
    /// How many rounds, if not as many as usual.
    rounds: Option<u32>,
    /// Only what contains this.
    filter: Option<String>,
}

/// Whose serving of disks is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A domain's with one vCPU, beside Linux's.
    #[default]
    Exports,
    /// The same, of an NVMe controller that is passed through to each of them.
    Nvme,
    /// One's with two vCPUs, beside one's with one.
    Vcpus,
}

/// What `--help` prints.
pub(crate) const HELP: &str = "\
cargo xtask bench [--quick] [--rounds N] [--filter TEXT] [--linux-twice] [--suite NAME] [--icount]
cargo xtask bench nvme [--quick] [--rounds N] [--filter TEXT] [--suite NAME]
cargo xtask bench vcpus [--quick] [--rounds N] [--filter TEXT] [--suite NAME] [--icount]
cargo xtask bench network [--quick] [--rounds N] [--filter TEXT] [--suite NAME] [--icount]
cargo xtask bench boot [--suite NAME] [--icount]

Measures how it serves disks: fio in dom0 on exports of Xenolith and of Linux as a driver domain, in
one nest, in turn. Prints a table; JSON and pictures are in target/bench. With --icount it tells
instructions: CPU time in microseconds is then thousands of them.
`nvme` measures the same of an NVMe controller that is passed through to each of them.
`vcpus` measures two vCPUs against one: what each does for an I/O on two exports at once.
`network` measures how it moves packets to and from dom0, beside a Linux PV guest in one nest.
`boot` measures from `xl create` to ready, side by side with a Linux PV guest and GRUB.

  --quick        a smoke: one round of one job on memory
  --rounds N     rounds; 5 is usual, 2 with --icount
  --filter TEXT  only what contains TEXT: a part (`life`, `memory`, `re-export`, `growth`), a job
                 (`randread 4k qd1`), or both (`memory, read 1m`)
  --linux-twice  Linux against itself: what the measurement finds between equals
";

/// The words that say what is measured.
const WORDS: [&str; 4] = ["nvme", "vcpus", "network", "boot"];

impl Bench {
    /// Reads the options; `None` if help is wanted.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>> {
        let mut options = Storage::default();
        let mut what = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Value(word) if what.is_none() && WORDS.iter().any(|known| word == *known) => {
                    what = Some(word);
                }
                Long("quick") => options.quick = true,
                Long("linux-twice") => options.linux_twice = true,
                Long("filter") => options.filter = Some(parser.value()?.string()?),
                Long("rounds") => options.rounds = Some(parser.value()?.parse()?),
                Long(name) => {
                    let name = name.to_owned();
                    let known = options.nest.option(&name, &mut parser)?;
                    ensure!(known, "there is no option --{name} here");
                }
                other => return Err(other.unexpected().into()),
            }
        }
        ensure!(options.rounds != Some(0), "no rounds, no figures");
        let nest = options.nest;
        match what {
            None => return Ok(Some(Self::Storage(options))),
            Some(word) if word == "nvme" => {
                ensure!(!options.linux_twice, "--linux-twice is for other disks");
                ensure!(!nest.icount, "--icount is not for what QEMU does beside");
                options.subject = Subject::Nvme;
                return Ok(Some(Self::Storage(options)));
            }
            Some(word) if word == "vcpus" => {
                ensure!(!options.linux_twice, "--linux-twice is for one vCPU");
                options.subject = Subject::Vcpus;
                return Ok(Some(Self::Storage(options)));
            }
            Some(word) if word == "network" => {
                ensure!(!options.linux_twice, "--linux-twice is for disks");
                return Ok(Some(Self::Network(Network {
                    nest,
                    quick: options.quick,
                    rounds: options.rounds,
                    filter: options.filter,
                })));
            }
            Some(_) => {}
        }
        let plain = Storage {
            nest,
            ..Storage::default()
        };
        ensure!(
            options == plain,
            "`bench boot` has only the options of the nest"
        );
        Ok(Some(Self::Boot(nest)))
    }
}

impl Network {
    /// How many rounds.
    pub(super) fn rounds(&self) -> u32 {
        let usual = match (self.quick, self.nest.icount) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 5,
        };
        self.rounds.unwrap_or(usual)
    }

    /// Whether a job is asked for.
    pub(super) fn wants(&self, job: &str) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|text| job.contains(&text[..]))
    }

    /// What the result is called.
    pub(super) fn name(&self) -> &'static str {
        match (self.quick, self.nest.icount) {
            (true, _) => "network-quick",
            (false, true) => "network-icount",
            (false, false) => "network",
        }
    }

    /// What one must know to read the figures.
    pub(super) fn setting(&self) -> String {
        let clock = if self.nest.icount {
            "deterministic clock, one CPU"
        } else {
            "ordinary clock, two CPUs"
        };
        format!(
            "Xen {} under QEMU, {clock}; smallest/median/largest of {} interleaved rounds",
            self.nest.suite.xen(),
            self.rounds()
        )
    }
}

impl Storage {
    /// What `--quick` asks for.
    pub(super) fn smoke() -> Self {
        Self {
            quick: true,
            ..Self::default()
        }
    }

    /// How many rounds.
    pub(super) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(match (self.quick, self.nest.icount) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 5,
        })
    }

    /// Whether a part, or a job in it, is asked for.
    pub(super) fn wants(&self, part: &str, job: &str) -> bool {
        let name = format!("{part}, {job}");
        let smoke = (
            match self.subject {
                Subject::Exports => "memory",
                Subject::Nvme => "nvme",
                Subject::Vcpus => "vcpus",
            },
            "randread 4k qd32",
        );
        (!self.quick || (part, job) == smoke)
            && self
                .filter
                .as_ref()
                .is_none_or(|text| name.contains(&text[..]))
    }

    /// What the result is called.
    pub(super) fn name(&self) -> &'static str {
        match (self.subject, self.quick, self.nest.icount) {
            (Subject::Nvme, true, _) => "nvme-quick",
            (Subject::Nvme, false, _) => "nvme",
            (_, true, _) => "storage-quick",
            (_, false, true) => "storage-icount",
            (_, false, false) => "storage",
        }
    }

    /// What one must know to read the figures.
    pub(super) fn setting(&self) -> String {
        let clock = if self.nest.icount {
            "deterministic clock, one CPU: a microsecond of CPU time is a thousand instructions"
        } else {
            "ordinary clock, two CPUs"
        };
        format!(
            "Xen {} under QEMU, {clock}; smallest/median/largest of {} interleaved rounds",
            self.nest.suite.xen(),
            self.rounds()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Bench, Network, Storage, Subject};
    use crate::nest::Choice;
    use lexopt::Parser;

    fn read(words: &[&str]) -> Result<Option<Bench>, String> {
        Bench::parse(Parser::from_args(words)).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn serving_disks_is_what_is_measured_without_a_word() {
        assert_eq!(read(&[]), Ok(Some(Bench::Storage(Storage::default()))));
        let all = read(&[
            "--quick",
            "--linux-twice",
            "--rounds=3",
            "--icount",
            "--filter",
            "1m",
        ]);
        let nest = Choice {
            icount: true,
            ..Choice::default()
        };
        let expected = Storage {
            nest,
            quick: true,
            linux_twice: true,
            subject: Subject::Exports,
            rounds: Some(3),
            filter: Some("1m".to_owned()),
        };
        assert_eq!(expected.rounds(), 3);
        assert_eq!(all, Ok(Some(Bench::Storage(expected))));
        assert_eq!(Storage::default().rounds(), 5);
    }

    #[test]
    fn a_filter_chooses_parts_and_jobs() {
        let with = |filter: &str| Storage {
            filter: Some(filter.to_owned()),
            ..Storage::default()
        };
        assert!(with("growth").wants("growth", "") && !with("growth").wants("life", ""));
        assert!(with("memory, read 1m").wants("memory", "read 1m qd4"));
        assert!(!with("memory, read 1m").wants("re-export", "read 1m qd4"));
        assert!(!with("memory, read 1m").wants("memory", "randread 4k qd1"));
        let quick = Storage {
            quick: true,
            ..Storage::default()
        };
        assert!(!quick.wants("life", "") && quick.wants("memory", "randread 4k qd32"));
    }

    #[test]
    fn disks_that_are_passed_through_are_asked_for_by_their_name() {
        let expected = Storage {
            quick: true,
            subject: Subject::Nvme,
            ..Storage::default()
        };
        assert!(expected.wants("nvme", "randread 4k qd32"));
        assert!(!expected.wants("memory", "randread 4k qd32"));
        assert_eq!(expected.name(), "nvme-quick");
        assert_eq!(
            read(&["nvme", "--quick"]),
            Ok(Some(Bench::Storage(expected)))
        );
        assert!(read(&["nvme", "--icount"]).is_err());
    }

    #[test]
    fn vcpus_are_asked_for_by_their_name() {
        let expected = Storage {
            quick: true,
            subject: Subject::Vcpus,
            ..Storage::default()
        };
        assert!(expected.wants("vcpus", "randread 4k qd32") && !expected.wants("vcpus", "x"));
        let found = read(&["vcpus", "--quick"]);
        assert_eq!(found, Ok(Some(Bench::Storage(expected))));
        assert!(read(&["vcpus", "--linux-twice"]).is_err());
    }

    #[test]
    fn the_network_is_asked_for_by_its_name() {
        let expected = Network {
            quick: true,
            filter: Some("TCP".to_owned()),
            ..Network::default()
        };
        assert!(expected.wants("TCP to the domain") && !expected.wants("flood ping"));
        assert_eq!((expected.rounds(), expected.name()), (1, "network-quick"));
        let words = ["network", "--quick", "--filter", "TCP"];
        assert_eq!(read(&words), Ok(Some(Bench::Network(expected))));
        assert!(read(&["network", "--linux-twice"]).is_err());
        assert!(read(&["network", "boot"]).is_err());
    }

    #[test]
    fn boot_has_the_nests_options_only() {
        let nest = Choice {
            icount: true,
            ..Choice::default()
        };
        assert_eq!(read(&["boot", "--icount"]), Ok(Some(Bench::Boot(nest))));
        assert!(read(&["boot", "--quick"]).unwrap_err().contains("boot"));
        assert!(read(&["boot", "boot"]).is_err());
        assert_eq!(read(&["boot", "--help"]), Ok(None));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(read(&["--fast"]).unwrap_err().contains("--fast"));
        assert!(read(&["--rounds", "0"]).unwrap_err().contains("no rounds"));
        assert!(read(&["--rounds", "x"]).is_err());
    }
}
