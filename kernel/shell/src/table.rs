//! The one table of shell commands and kernel command line keys.
//!
//! Dispatch, `help`, completion, `COMMANDS.md` and the reading of the kernel command line all take
//! their names from here.

use alloc::format;
use alloc::string::String;

use hv::ShutdownReason;

use crate::request::{self, GraphForm, Parse, Request, alone, made, network};
use crate::settings::{self, Set};

/// A command or a key.
#[derive(Debug)]
pub struct Entry {
    /// How it is called: one word, or two for a command of a group.
    pub name: &'static str,
    /// What follows the name; for a key, the value's form.
    pub arguments: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// What it sets in motion.
    pub action: Action,
}

/// What an entry sets in motion.
#[derive(Debug)]
pub enum Action {
    /// A command of the shell.
    Command {
        /// How its arguments are read.
        parse: Parse,
        /// What its first argument may be completed to.
        completes: Completes,
    },
    /// A key of the kernel command line.
    Key {
        /// How it takes its value.
        set: Set,
        /// It may be given more than once, and each time counts.
        repeats: bool,
    },
}

/// What an argument may be completed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completes {
    /// Nothing that is known here.
    Nothing,
    /// The shell's commands.
    Commands,
    /// GEOM's providers.
    Providers,
}

const fn command(
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    parse: Parse,
) -> Entry {
    let completes = Completes::Nothing;
    let action = Action::Command { parse, completes };
    Entry {
        name,
        arguments,
        about,
        action,
    }
}

const fn on_provider(
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    parse: Parse,
) -> Entry {
    let completes = Completes::Providers;
    let action = Action::Command { parse, completes };
    Entry {
        name,
        arguments,
        about,
        action,
    }
}

const fn key(name: &'static str, value: &'static str, about: &'static str, set: Set) -> Entry {
    let repeats = false;
    let action = Action::Key { set, repeats };
    Entry {
        name,
        arguments: value,
        about,
        action,
    }
}

const fn repeated_key(
    name: &'static str,
    value: &'static str,
    about: &'static str,
    set: Set,
) -> Entry {
    let repeats = true;
    let action = Action::Key { set, repeats };
    Entry {
        name,
        arguments: value,
        about,
        action,
    }
}

/// Every command and every key, in the order `help` shows them.
pub static TABLE: &[Entry] = &[
    Entry {
        name: "help",
        arguments: "[COMMAND]",
        about: "what there is, or how one command is used",
        action: Action::Command {
            parse: request::help,
            completes: Completes::Commands,
        },
    },
    command("dmesg", "", "the log", alone!(Request::Dmesg)),
    command(
        "uptime",
        "",
        "time since the first instruction, and the date",
        alone!(Request::Uptime),
    ),
    command("mem", "", "memory in use", alone!(Request::Mem)),
    command(
        "events",
        "",
        "event channels in use",
        alone!(Request::Events),
    ),
    command(
        "grants",
        "",
        "grants in use, and pages a peer still holds",
        alone!(Request::Grants),
    ),
    command(
        "trace",
        "",
        "the last things that happened",
        alone!(Request::Trace),
    ),
    command(
        "tasks",
        "",
        "what the executor runs",
        alone!(Request::Tasks),
    ),
    command(
        "xenstore ls",
        "PATH",
        "the nodes under a path, with their values",
        request::store_list,
    ),
    command(
        "xenstore read",
        "PATH",
        "the value at a path",
        request::store_read,
    ),
    command(
        "xenstore write",
        "PATH VALUE",
        "sets the value at a path",
        request::store_write,
    ),
    command(
        "geom tree",
        "",
        "providers, each under what it is made from",
        alone!(Request::Geom(GraphForm::Tree)),
    ),
    command(
        "geom list",
        "",
        "the whole graph, object by object",
        alone!(Request::Geom(GraphForm::List)),
    ),
    command(
        "geom dot",
        "",
        "the whole graph for graphviz",
        alone!(Request::Geom(GraphForm::Dot)),
    ),
    command(
        "geom json",
        "",
        "the whole graph for programs",
        alone!(Request::Geom(GraphForm::Json)),
    ),
    command(
        "disk list",
        "",
        "disks, and how many were created and are gone",
        alone!(Request::DiskList),
    ),
    command(
        "exports",
        "",
        "what is served to other domains, watched for a second",
        alone!(Request::Exports),
    ),
    command(
        "mdconfig -a",
        "-s SIZE [-u UNIT] [-L LABEL] [-S SECTOR] [-o reserve]",
        "makes a memory disk, which may also be opened by its label",
        made::md_attach,
    ),
    command(
        "mdconfig -d",
        "-u UNIT [-o force]",
        "destroys a memory disk",
        made::md_detach,
    ),
    command(
        "mdconfig -l",
        "",
        "memory disks, and the memory they have",
        alone!(Request::MdList),
    ),
    on_provider(
        "gnop create",
        "[-r|-w|-q|-x PERCENT] [-e ERROR] [-d MS] [-b RANGE] [-R SEED] [-o OFFSET] [-s SIZE] \
         PROVIDER",
        "PROVIDER.nop: fails reads (-r), writes (-w), delays them (-q, -x)",
        made::nop_create,
    ),
    on_provider(
        "gnop configure",
        "[-r|-w|-q|-x PERCENT] [-e ERROR] [-d MS] [-b RANGE] PROVIDER",
        "has these go wrong on a NOP, and nothing else; RANGE: OFFSET:LENGTH",
        made::nop_configure,
    ),
    on_provider(
        "gnop destroy",
        "[-f] PROVIDER",
        "ends a NOP, with -f also while it is held",
        made::nop_destroy,
    ),
    on_provider(
        "gnop reset",
        "PROVIDER",
        "has a NOP count from 0 again",
        made::nop_reset,
    ),
    command(
        "gnop list",
        "",
        "NOPs, what goes wrong on them, and how much did",
        alone!(Request::NopList),
    ),
    command(
        "gzero create",
        "[SIZE]",
        "makes a disk of zeros; 1 EiB if no size is given",
        made::zero_create,
    ),
    on_provider(
        "gzero destroy",
        "[-f] PROVIDER",
        "destroys a disk of zeros",
        made::zero_destroy,
    ),
    on_provider(
        "sum",
        "PROVIDER [OFFSET LENGTH]",
        "SHA-256 of a provider's bytes",
        request::sum,
    ),
    on_provider(
        "hexdump",
        "PROVIDER OFFSET LENGTH",
        "a provider's bytes",
        request::hexdump,
    ),
    on_provider(
        "fill",
        "PROVIDER SEED [OFFSET LENGTH]",
        "writes the seed's pattern, flushes, reads it back",
        request::fill,
    ),
    command(
        "ifconfig",
        "",
        "network interfaces: addresses, and what passed them",
        alone!(Request::Ifconfig),
    ),
    command(
        "netstat",
        "",
        "TCP and UDP: who listens, and who is connected",
        alone!(Request::Netstat),
    ),
    command(
        "pciconf -l",
        "",
        "PCI functions: what they are, and who drives them",
        alone!(Request::PciList),
    ),
    command(
        "nvmecontrol devlist",
        "",
        "NVMe controllers: what they are, how they stand, their health",
        alone!(Request::NvmeList),
    ),
    command(
        "ping",
        "[-c COUNT] [-s SIZE] [-i MILLISECONDS] HOST",
        "echo requests: 4 if not said otherwise, of 56 bytes, each second",
        network::ping,
    ),
    command("host", "NAME", "the addresses of a name", network::host),
    command(
        "tcpdump",
        "[-c COUNT] [-i INTERFACE]",
        "packets as they pass, a line each, until ^C or so many",
        network::tcpdump,
    ),
    command(
        "poweroff",
        "",
        "ends the domain",
        alone!(Request::End(ShutdownReason::Poweroff)),
    ),
    command(
        "reboot",
        "",
        "ends the domain, to be started again",
        alone!(Request::End(ShutdownReason::Reboot)),
    ),
    command(
        "crash",
        "[stack|memory]",
        "ends it as a fault or a lack of memory or (without clients) stack would",
        request::crash,
    ),
    key(
        "run",
        "\"COMMAND; COMMAND\"",
        "commands to run once the domain is ready",
        settings::run,
    ),
    key(
        "loglevel",
        "error|warn|info|debug",
        "which lines the log keeps; info if not given",
        settings::loglevel,
    ),
    key(
        "watchdog",
        "SECONDS",
        "Xen ends the domain when its run loop stands still for so long",
        settings::watchdog,
    ),
    key(
        "taste_timeout",
        "SECONDS",
        "how long a disk may hold back its first reads; 10 if not given",
        settings::taste_timeout,
    ),
    key(
        "app",
        "TEXT",
        "what the image's own program is told, if it has one",
        settings::app,
    ),
    repeated_key(
        "md",
        "LABEL:SIZE",
        "a memory disk; may be given several times",
        settings::md,
    ),
    repeated_key(
        "export",
        "NAME:PROVIDER[,ro]",
        "exports a provider by this name, and nothing else; may be repeated",
        settings::export,
    ),
    repeated_key(
        "ip",
        "[xnN:]dhcp|off|ADDRESS/LENGTH[,GATEWAY[,DNS]]",
        "an interface's address, or that of all; dhcp if none is given",
        settings::ip,
    ),
    key(
        "page",
        "PORT|off",
        "the TCP port of the status page; 80 if not given",
        settings::page,
    ),
    key(
        "token",
        "WORD",
        "who has it (8 characters or more) may send the page commands",
        settings::token,
    ),
    repeated_key(
        "nbd",
        "NAME:PROVIDER[,ro]",
        "NBD clients may have a provider by this name; may be repeated",
        settings::nbd,
    ),
];

/// The commands, without the keys.
pub fn commands() -> impl Iterator<Item = &'static Entry> {
    TABLE
        .iter()
        .filter(|entry| matches!(entry.action, Action::Command { .. }))
}

/// The keys of the kernel command line: each entry, and how it is set.
pub fn keys() -> impl Iterator<Item = (&'static Entry, Set)> {
    TABLE.iter().filter_map(|entry| match entry.action {
        Action::Key { set, .. } => Some((entry, set)),
        Action::Command { .. } => None,
    })
}

/// The command that `words` start with, how its arguments are read, and how many words its name
/// takes.
#[must_use]
pub fn find(words: &[String]) -> Option<(&'static Entry, Parse, usize)> {
    TABLE.iter().find_map(|entry| {
        let Action::Command { parse, .. } = entry.action else {
            return None;
        };
        let taken = entry.name.split(' ').count();
        let named = words.len() >= taken && entry.name.split(' ').eq(&words[..taken]);
        named.then_some((entry, parse, taken))
    })
}

/// Whether `word` is the first word of commands that have two.
#[must_use]
pub fn is_group(word: &str) -> bool {
    commands().any(|entry| {
        entry
            .name
            .split_once(' ')
            .is_some_and(|(group, _)| group == word)
    })
}

/// A command as it is typed.
#[must_use]
pub fn usage(name: &str, arguments: &str) -> String {
    if arguments.is_empty() {
        name.into()
    } else {
        format!("{name} {arguments}")
    }
}
