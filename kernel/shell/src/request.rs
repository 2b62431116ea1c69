//! What a command line asks for, checked as far as it can be without looking at the domain.

pub(crate) mod made;
pub(crate) mod network;
mod options;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use geom::class::md::MdParams;
use geom::class::nop::{Fault, NopParams};
use hv::ShutdownReason;

use crate::number::{self, NumberError};
use crate::table;
use crate::words;
pub use network::PingRequest;

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// What commands there are, or how this one is used.
    Help(Option<String>),
    /// The log.
    Dmesg,
    /// The time since the domain's first instruction, and the wall clock.
    Uptime,
    /// Memory in use.
    Mem,
    /// Event channels.
    Events,
    /// Grants.
    Grants,
    /// The trace ring.
    Trace,
    /// The executor's tasks.
    Tasks,
    /// A value in xenstore.
    StoreRead(String),
    /// The nodes under a path in xenstore.
    StoreList(String),
    /// Sets a value in xenstore: path, value.
    StoreWrite(String, String),
    /// GEOM's graph.
    Geom(GraphForm),
    /// The disks, and how many were created and are gone.
    DiskList,
    /// What is served to other domains.
    Exports,
    /// SHA-256 of a provider's bytes.
    Sum(String, Option<ByteRange>),
    /// A provider's bytes in hexadecimal.
    Hexdump(String, ByteRange),
    /// Writes the pattern of this seed to a provider, and reads it back.
    Fill(String, u64, Option<ByteRange>),
    /// Makes a memory disk.
    MdAttach(MdParams),
    /// The memory disks.
    MdList,
    /// Makes a disk of zeros, of so many bytes.
    ZeroCreate(u64),
    /// Makes a NOP on a provider.
    NopCreate(String, NopParams),
    /// Has other things go wrong on a NOP.
    NopConfigure(String, Vec<Fault>),
    /// Has a NOP count from 0 again.
    NopReset(String),
    /// The NOPs, what goes wrong on them and how much did.
    NopList,
    /// Destroys a disk of a class; by force also if it is held.
    MadeDestroy(&'static str, String, bool),
    /// The network interfaces.
    Ifconfig,
    /// The sockets.
    Netstat,
    /// The PCI devices.
    PciList,
    /// The NVMe controllers.
    NvmeList,
    /// Echo requests.
    Ping(PingRequest),
    /// The addresses of a name.
    Host(String),
    /// Packets as they pass: so many, on one interface or on all.
    Tcpdump(Option<u64>, Option<String>),
    /// Uses up all of something, of which the domain ends.
    Exhaust(Resource),
    /// Ends the domain.
    End(ShutdownReason),
}

/// The forms GEOM's graph is printed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphForm {
    /// Indented, each provider under what it is made from.
    Tree,
    /// One line an object.
    List,
    /// For graphviz.
    Dot,
    /// For programs.
    Json,
}

/// What a domain may run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The run loop's stack.
    Stack,
    /// The heap.
    Memory,
}

/// Bytes of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// There is no such command.
    Unknown(String),
    /// This quote character was opened and not closed.
    OpenQuote(char),
    /// The command does not take these arguments.
    Misused {
        /// The command's name.
        name: &'static str,
        /// The arguments it takes.
        arguments: &'static str,
        /// What is wrong with those given.
        misuse: Misuse,
    },
}

/// What is wrong with a command's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// Too few or too many.
    Count,
    /// This one should have been a number.
    Number(String, NumberError),
    /// There is no such option, or it has no such value.
    Option(String),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(
                    f,
                    "{}: no such command; `help` lists them",
                    name.escape_debug()
                )
            }
            Self::OpenQuote(quote) => write!(f, "a {quote} is not closed"),
            Self::Misused {
                name,
                arguments,
                misuse: Misuse::Count,
            } => {
                write!(f, "usage: {}", table::usage(name, arguments))
            }
            Self::Misused {
                name,
                misuse: Misuse::Number(text, error),
                ..
            } => {
                write!(f, "{name}: '{}' is {error}", text.escape_debug())
            }
            Self::Misused {
                name,
                arguments,
                misuse: Misuse::Option(text),
            } => {
                let text = text.escape_debug();
                let usage = table::usage(name, arguments);
                write!(f, "{name}: '{text}' means nothing; usage: {usage}")
            }
        }
    }
}

impl core::error::Error for ParseError {}

/// Reads one command; `None` when there is nothing on the line.
///
/// # Errors
/// The line is no command, or the command does not take its arguments.
pub fn parse(line: &str) -> Result<Option<Request>, ParseError> {
    let (words, open) = words::words(line);
    if let Some(quote) = open {
        return Err(ParseError::OpenQuote(quote));
    }
    let Some(first) = words.first() else {
        return Ok(None);
    };
    let Some((entry, parse, taken)) = table::find(&words) else {
        let group = words.get(1).filter(|_| table::is_group(first));
        let name = group.map_or(first.clone(), |second| alloc::format!("{first} {second}"));
        return Err(ParseError::Unknown(name));
    };
    let arguments = words.get(taken..).unwrap_or_default();
    parse(arguments)
        .map(Some)
        .map_err(|misuse| ParseError::Misused {
            name: entry.name,
            arguments: entry.arguments,
            misuse,
        })
}

/// How a command reads its arguments.
pub type Parse = fn(&[String]) -> Result<Request, Misuse>;

pub(crate) fn help(arguments: &[String]) -> Result<Request, Misuse> {
    match arguments {
        [] => Ok(Request::Help(None)),
        [name] => Ok(Request::Help(Some(name.clone()))),
        [group, name] => Ok(Request::Help(Some(alloc::format!("{group} {name}")))),
        _ => Err(Misuse::Count),
    }
}

/// For a command without arguments.
macro_rules! alone {
    ($request:expr) => {
        |arguments| match arguments {
            [] => Ok($request),
            _ => Err($crate::request::Misuse::Count),
        }
    };
}
pub(crate) use alone;

pub(crate) fn store_read(arguments: &[String]) -> Result<Request, Misuse> {
    one(arguments).map(Request::StoreRead)
}

pub(crate) fn store_list(arguments: &[String]) -> Result<Request, Misuse> {
    one(arguments).map(Request::StoreList)
}

pub(crate) fn store_write(arguments: &[String]) -> Result<Request, Misuse> {
    match arguments {
        [path, value] => Ok(Request::StoreWrite(path.clone(), value.clone())),
        _ => Err(Misuse::Count),
    }
}

pub(crate) fn sum(arguments: &[String]) -> Result<Request, Misuse> {
    match arguments {
        [provider, range @ ..] => Ok(Request::Sum(provider.clone(), maybe_range(range)?)),
        [] => Err(Misuse::Count),
    }
}

pub(crate) fn hexdump(arguments: &[String]) -> Result<Request, Misuse> {
    match arguments {
        [provider, offset, length] => {
            Ok(Request::Hexdump(provider.clone(), range(offset, length)?))
        }
        _ => Err(Misuse::Count),
    }
}

pub(crate) fn fill(arguments: &[String]) -> Result<Request, Misuse> {
    match arguments {
        [provider, seed, range @ ..] => {
            let seed = numbered(seed, number::plain)?;
            Ok(Request::Fill(provider.clone(), seed, maybe_range(range)?))
        }
        _ => Err(Misuse::Count),
    }
}

pub(crate) fn crash(arguments: &[String]) -> Result<Request, Misuse> {
    match arguments {
        [] => Ok(Request::End(ShutdownReason::Crash)),
        [what] => match what.as_str() {
            "stack" => Ok(Request::Exhaust(Resource::Stack)),
            "memory" => Ok(Request::Exhaust(Resource::Memory)),
            _ => Err(Misuse::Option(what.clone())),
        },
        _ => Err(Misuse::Count),
    }
}

fn one(arguments: &[String]) -> Result<String, Misuse> {
    match arguments {
        [argument] => Ok(argument.clone()),
        _ => Err(Misuse::Count),
    }
}

fn maybe_range(arguments: &[String]) -> Result<Option<ByteRange>, Misuse> {
    match arguments {
        [] => Ok(None),
        [offset, length] => range(offset, length).map(Some),
        _ => Err(Misuse::Count),
    }
}

fn range(offset: &str, length: &str) -> Result<ByteRange, Misuse> {
    Ok(ByteRange {
        offset: numbered(offset, number::bytes)?,
        length: numbered(length, number::bytes)?,
    })
}

fn numbered(text: &str, read: fn(&str) -> Result<u64, NumberError>) -> Result<u64, Misuse> {
    read(text).map_err(|error| Misuse::Number(text.into(), error))
}

#[cfg(test)]
mod tests;
